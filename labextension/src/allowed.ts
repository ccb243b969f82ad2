/** What of a drawing reaches the page: an element, an attribute, a link. */

const ELEMENTS = new Set(
  (
    'svg g title a path polygon polyline ellipse circle rect line text tspan ' +
    'defs lineargradient radialgradient stop'
  ).split(' ')
);
const ATTRIBUTES = new Set(
  (
    'class cx cy d dominant-baseline fill fill-opacity font-family font-size font-style ' +
    'font-weight fx fy gradientunits height id letter-spacing offset opacity points r rx ry ' +
    'stop-color stop-opacity stroke stroke-dasharray stroke-linecap stroke-linejoin ' +
    'stroke-opacity stroke-width text-anchor text-decoration transform viewbox width x x1 x2 ' +
    'xml:space xmlns y y1 y2'
  ).split(' ')
);
const LINK = /^(?:https?:|mailto:|#)/i;
const REFERENCE = /url\(/i;
const OWN_REFERENCE = /^url\(#[\w.:-]+\)$/;
const GRADIENT = /^(?:stop-(?:color|opacity):\s*#?[\w.]+;?\s*)+$/;

/** Say whether an element may stay, by its name. */
export function keepsElement(name: string): boolean {
  return ELEMENTS.has(name.toLowerCase());
}

/**
 * Say whether an attribute may stay.
 *
 * @param name - with its prefix.
 * @param value - what it says.
 */
export function keepsAttribute(name: string, value: string): boolean {
  const plain = name.toLowerCase();
  if (plain === 'href' || plain === 'xlink:href') {
    return isSafeLink(value);
  }
  if (plain === 'style') {
    return GRADIENT.test(value.trim());
  }
  if (!ATTRIBUTES.has(plain)) {
    return false;
  }
  return !REFERENCE.test(value) || OWN_REFERENCE.test(value.trim());
}

/** Say whether a link leads to a page, a mail or a place in the drawing, and runs nothing. */
export function isSafeLink(target: string): boolean {
  // browsers read over such characters before they look for the scheme
  return LINK.test(target.replace(/[\u0000-\u0020\u007f]/g, ''));
}
