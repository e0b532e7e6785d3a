"use strict";
/** Elements made piece by piece: whatever a page or the service says becomes a text node, never markup. */
{
  const SVG = "http://www.w3.org/2000/svg";
  /** What would else reach the page: a space in a badge is no "pause" for its player. */
  const KEPT = ["click", "keydown", "keypress", "keyup", "mousedown", "mouseup", "pointerdown", "pointerup"];

  /** @param {Element} made @param {Record<string, string>} attributes @param {(Node | string)[]} children */
  function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children); // a string becomes a text node
    return made;
  }

  /** @param {string} name @param {Record<string, string>} [attributes] @param {...(Node | string)} children */
  function element(name, attributes = {}, ...children) {
    return /** @type {HTMLElement} */ (fill(document.createElement(name), attributes, children));
  }

  /** @param {string} name @param {Record<string, string>} [attributes] @param {...(Node | string)} children */
  function svg(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  }

  /**
   * A button that only a person can press: a page's script cannot make it send anything.
   *
   * @param {string} label @param {() => void} press
   */
  function button(label, press) {
    const made = element("button", { type: "button" }, label);
    made.addEventListener("click", (event) => event.isTrusted && press());
    return made;
  }

  /**
   * An element with a closed shadow root: page and extension see nothing of each other's style and content.
   *
   * @param {"scorelake-badge" | "scorelake-panel"} name @param {Node} beside whose background decides on dark or light
   * @param {...Node} children
   */
  function host(name, beside, ...children) {
    const made = element(name, { "data-scheme": isDark(beside) ? "dark" : "light" });
    const root = made.attachShadow({ mode: "closed" });
    root.adoptedStyleSheets = [globalThis.scorelake.sheet];
    root.append(...children);
    for (const type of KEPT) made.addEventListener(type, (event) => event.stopPropagation());
    return made;
  }

  /** Whether the first background that is not transparent is dark. A page's own theme counts, not only the system's. */
  function isDark(/** @type {Node | null} */ node) {
    for (let at = node; at; at = at.parentNode) {
      if (!(at instanceof Element)) continue;
      const [red, green, blue, alpha] = readColour(getComputedStyle(at).backgroundColor);
      if (alpha > 127) return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
    }
    const schemes = getComputedStyle(document.documentElement).colorScheme;
    return (
      schemes.includes("dark") && (!schemes.includes("light") || matchMedia("(prefers-color-scheme: dark)").matches)
    );
  }

  /** Red, green, blue and alpha, 0 to 255, of a colour in any of CSS's notations. @type {Map<string, number[]>} */
  const colours = new Map();
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  /** @param {string} colour */
  function readColour(colour) {
    if (!colours.has(colour) && pixel) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
      colours.set(colour, [...pixel.getImageData(0, 0, 1, 1).data]);
    }
    return colours.get(colour) ?? [255, 255, 255, 255];
  }

  /**
   * Asks the service worker, which alone knows the key.
   *
   * @param {object} message
   * @throws {Error} with `seconds` if asking again after so long may help
   */
  async function ask(message) {
    if (!chrome.runtime?.id) throw new Error("The extension was updated: load this page again.");
    const { value, error } = await chrome.runtime.sendMessage(message);
    if (error) throw Object.assign(new Error(error.message), { seconds: error.seconds });
    return value;
  }

  Object.assign(globalThis.scorelake, { element, svg, button, host, ask });
}
