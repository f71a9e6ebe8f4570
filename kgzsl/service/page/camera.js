// What of the drawing is in view: zoom by buttons, keys and wheel, pan by dragging.

const LIMITS = [0.4, 3];
const LARGEST = 1.25; // of what is fitted

/** Make a camera for an svg; `fit(extent)` shows all of it. */
export function makeCamera(svg) {
  let view = { x: 0, y: 0, scale: 1 };
  let extent = { left: -1, right: 1, top: -1, bottom: 1 };
  const size = () => ({ w: svg.clientWidth || 1, h: svg.clientHeight || 1 });
  const apply = () => {
    const { w, h } = size();
    svg.setAttribute("viewBox", [view.x - w / view.scale / 2, view.y - h / view.scale / 2, w / view.scale, h / view.scale].join(" "));
  };
  const fit = (shown = extent) => {
    extent = shown;
    const { w, h } = size();
    const scale = Math.min(LARGEST, (w - 16) / (extent.right - extent.left), (h - 16) / (extent.bottom - extent.top));
    view = { x: (extent.left + extent.right) / 2, y: (extent.top + extent.bottom) / 2, scale: Math.max(scale, LIMITS[0]) };
    apply();
  };
  const zoom = (factor) => {
    view.scale = Math.min(Math.max(view.scale * factor, LIMITS[0]), LIMITS[1]);
    apply();
  };
  /** Bring a node into view. */
  const reveal = (node) => {
    const { w, h } = size();
    const [halfW, halfH] = [w / view.scale / 2 - node.w / 2, h / view.scale / 2 - node.h / 2];
    const to = (at, half, target) => (half <= 0 ? target : Math.min(Math.max(at, target - half), target + half));
    view.x = to(view.x, halfW, node.x);
    view.y = to(view.y, halfH, node.y);
    apply();
  };

  let held = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("a")) return;
    held = { x: event.clientX, y: event.clientY };
    svg.setPointerCapture(event.pointerId);
    svg.classList.add("held");
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    view.x -= (event.clientX - held.x) / view.scale;
    view.y -= (event.clientY - held.y) / view.scale;
    held = { x: event.clientX, y: event.clientY };
    apply();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => {
      held = null;
      svg.classList.remove("held");
    });
  }
  // a plain wheel scrolls the page; with Ctrl, and by a pinch of the trackpad, it zooms
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200));
  }, { passive: false });
  return { fit, zoom, reveal };
}
