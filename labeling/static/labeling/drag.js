/**
 * Drag chips between places, with mouse, pen and finger alike.
 *
 * The board says where a point of the screen lies (`placeAt(x, y)` gives an opaque place or null), paints it
 * (`aim(place)`), and takes the drop. A press that does not move stays a click.
 */
const FAR_ENOUGH = 6;

export function draggable(root, { handle, placeAt, aim, drop }) {
  root.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(handle);
    if (!grip || event.button !== 0) return;
    const start = { x: event.clientX, y: event.clientY };
    let ghost = null;
    let place = null;

    const move = (now) => {
      const [dx, dy] = [now.clientX - start.x, now.clientY - start.y];
      if (!ghost) {
        if (Math.hypot(dx, dy) < FAR_ENOUGH) return;
        ghost = lift(grip);
        root.classList.add("dragging");
      }
      now.preventDefault();
      ghost.style.translate = `${dx}px ${dy}px`;
      place = placeAt(now.clientX, now.clientY);
      aim(place);
    };

    const end = (now) => {
      grip.removeEventListener("pointermove", move);
      grip.removeEventListener("pointerup", end);
      grip.removeEventListener("pointercancel", end);
      if (!ghost) return;
      ghost.remove();
      root.classList.remove("dragging");
      aim(null);
      if (now.type === "pointerup") {
        // The click that follows this release belongs to the drag.
        const swallow = (click) => click.stopPropagation();
        grip.addEventListener("click", swallow, { capture: true });
        setTimeout(() => grip.removeEventListener("click", swallow, { capture: true }));
        if (place) drop(Number(grip.dataset.id), place);
      }
    };

    grip.setPointerCapture(event.pointerId);
    grip.addEventListener("pointermove", move);
    grip.addEventListener("pointerup", end);
    grip.addEventListener("pointercancel", end);
  });
}

function lift(grip) {
  const box = grip.getBoundingClientRect();
  const ghost = grip.cloneNode(true);
  ghost.classList.add("ghost");
  ghost.removeAttribute("id");
  ghost.setAttribute("aria-hidden", "true");
  Object.assign(ghost.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px` });
  document.body.append(ghost);
  return ghost;
}
