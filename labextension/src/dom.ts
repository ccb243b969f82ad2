/** Elements made in one line; what is shown comes in as text, never as markup. */

/**
 * Make an element.
 *
 * @param name - of the element.
 * @param attributes - those that are not empty are set.
 * @param content - texts and elements.
 */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string | undefined>,
  ...content: (string | Node | null)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) {
      made.setAttribute(key, value);
    }
  }
  made.append(...content.filter(each => each !== null));
  return made;
}

/**
 * Make a button.
 *
 * @param text - what it shows.
 * @param label - what it does, for tooltips and readers; the text if it is the same.
 * @param act - does it.
 */
export function button(
  text: string,
  label: string,
  act: (event: MouseEvent) => void
): HTMLButtonElement {
  const made = make('button', { type: 'button', class: 'flyte-button' }, text);
  made.title = label;
  if (label !== text) {
    made.setAttribute('aria-label', label);
  }
  made.addEventListener('click', act);
  return made;
}
