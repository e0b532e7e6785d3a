/** The icon in the toolbar, drawn: three bars, low, high and in between. */

const BARS = [
  { left: 0.18, top: 0.55, colour: "#d55e00" },
  { left: 0.42, top: 0.2, colour: "#ffffff" },
  { left: 0.66, top: 0.38, colour: "#56b4e9" },
];

/** @param {number} size in pixels */
function drawIcon(size) {
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(size, size).getContext("2d"));
  context.fillStyle = "#1f2a37";
  context.beginPath();
  context.roundRect(0, 0, size, size, size * 0.2);
  context.fill();
  for (const { left, top, colour } of BARS) {
    context.fillStyle = colour;
    context.fillRect(size * left, size * top, size * 0.16, size * (0.84 - top));
  }
  return context.getImageData(0, 0, size, size);
}

export async function showIcon() {
  await chrome.action.setIcon({ imageData: { 16: drawIcon(16), 32: drawIcon(32), 48: drawIcon(48) } });
}
