"use strict";
/** How badges and panel look, within shadow roots: the page's style does not reach in, this does not leak out. */
{
  const css = `
    :host {
      all: initial !important;
      color-scheme: light !important;
      font: 13px/1.4 system-ui, sans-serif !important;
      color: light-dark(#111, #f1f1f1) !important;
    }
    :host([data-scheme="dark"]) { color-scheme: dark !important; }
    :host(scorelake-badge) { display: inline-block !important; margin-inline-start: 8px !important; }
    :host(scorelake-badge[data-floating]) { position: absolute !important; z-index: 2147483646 !important; }
    :host(scorelake-panel) {
      position: fixed !important; inset: auto 16px 16px auto !important; z-index: 2147483647 !important;
    }
    button {
      font: inherit; color: inherit; cursor: pointer; padding: 2px 10px; border-radius: 999px;
      border: 1px solid light-dark(#767676, #9a9a9a); background: light-dark(#fff, #2a2a2a);
    }
    button:hover { background: light-dark(#ececec, #3d3d3d); }
    button:focus-visible { outline: 3px solid light-dark(#0b57d0, #a8c7fa); outline-offset: 1px; }
    button[disabled] { opacity: .6; cursor: default; }
    .badge { padding: 0 8px; border-width: 2px; border-color: var(--tone); font-size: 12px; white-space: nowrap; }
    .badge.unsure { border-style: dashed; }
    .shape { color: var(--tone); font-weight: bold; }
    .positive { --tone: light-dark(#005c97, #56b4e9); }
    .negative { --tone: light-dark(#b34700, #ff9e4a); }
    .neutral, .unsure { --tone: light-dark(#5f5f5f, #b5b5b5); }
    .other { --tone: light-dark(#8a3b73, #e29bc8); }
    .panel, [popover] {
      box-sizing: border-box; inline-size: 320px; max-inline-size: calc(100vw - 32px); padding: 12px 14px;
      max-block-size: 70vh; overflow: auto; color: inherit; background: light-dark(#fff, #1d1d1d);
      border: 1px solid light-dark(#b8b8b8, #5a5a5a); border-radius: 12px; box-shadow: 0 4px 18px #0005;
    }
    [popover] { position: fixed; margin: 0; }
    h2 { font-size: 14px; margin: 0 0 6px; }
    p { margin: 6px 0; overflow-wrap: anywhere; }
    .small { font-size: 12px; color: light-dark(#555, #b5b5b5); }
    .problem { border-inline-start: 4px solid light-dark(#b34700, #ff9e4a); padding-inline-start: 8px; }
    .buttons { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px; }
    .actions { display: contents; }
    ul { margin: 4px 0; padding-inline-start: 18px; overflow-wrap: anywhere; }
    svg { display: block; inline-size: 100%; block-size: auto; }
    svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
    svg .bar { fill: var(--tone); }
    svg .unsure .bar { fill: none; stroke: var(--tone); stroke-width: 1.5; stroke-dasharray: 3 2; }
    svg .shape { fill: var(--tone); }
    svg .track { fill: light-dark(#eee, #333); }
  `;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  globalThis.scorelake = { sheet };
}
