/** The part of a drawing that is seen, as values: moved, and looked at from nearer. */

/** A rectangle in the units of the drawing. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** How near one can get, and how far away. */
const NEAREST = 20;
const FARTHEST = 0.5;

/**
 * Look at it from nearer, or from farther away; what is at a point stays there.
 *
 * @param seen - what is seen now.
 * @param whole - the drawing.
 * @param factor - above 1 for nearer.
 * @param at - the point, each from 0 to 1; the middle if not given.
 */
export function zoomed(
  seen: Box,
  whole: Box,
  factor: number,
  at: { x: number; y: number } = { x: 0.5, y: 0.5 }
): Box {
  const now = whole.width / seen.width;
  const scale = Math.min(NEAREST, Math.max(FARTHEST, now * factor)) / now;
  const width = seen.width / scale;
  const height = seen.height / scale;
  return kept(
    {
      x: seen.x + (seen.width - width) * at.x,
      y: seen.y + (seen.height - height) * at.y,
      width,
      height
    },
    whole
  );
}

/**
 * Look at another part of it.
 *
 * @param seen - what is seen now.
 * @param whole - the drawing.
 * @param right - how far to the right, as a part of what is seen.
 * @param down - how far down.
 */
export function moved(seen: Box, whole: Box, right: number, down: number): Box {
  return kept(
    {
      ...seen,
      x: seen.x + right * seen.width,
      y: seen.y + down * seen.height
    },
    whole
  );
}

/** Return the box with its middle inside the drawing, which so cannot be lost. */
function kept(box: Box, whole: Box): Box {
  const within = (start: number, size: number, from: number, all: number) =>
    Math.min(from + all - size / 2, Math.max(from - size / 2, start));
  return {
    ...box,
    x: within(box.x, box.width, whole.x, whole.width),
    y: within(box.y, box.height, whole.y, whole.height)
  };
}
