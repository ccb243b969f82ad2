/** One part of the side bar: it folds, and keeps the focus where it was when it is shown anew. */

import { make } from './dom';

/** A part with a heading, whose content is made anew when it has changed. */
export class Section {
  readonly node: HTMLElement;

  /**
   * @param title - its heading.
   * @param tools - buttons beside it.
   */
  constructor(title: string, ...tools: HTMLElement[]) {
    this.count = make('span', { class: 'flyte-count' });
    this.body = make('div', { class: 'flyte-section-body' });
    // the buttons stand beside the heading that folds, not in it: one control in another is
    // something that readers cannot tell apart
    this.node = make(
      'section',
      { class: 'flyte-section', 'aria-label': title },
      make(
        'details',
        { open: '' },
        make('summary', {}, make('h3', {}, title), this.count),
        this.body
      ),
      make('span', { class: 'flyte-tools flyte-section-tools' }, ...tools)
    );
  }

  /**
   * Show something, if it is not shown already.
   *
   * @param key - differs where the content does.
   * @param count - beside the heading; nothing if it is not known.
   * @param content - makes it.
   */
  show(key: string, count: number | null, content: () => Node[]): void {
    if (key === this.key) {
      return;
    }
    this.key = key;
    const focused = this.body.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset.key
      : undefined;
    this.count.textContent = count ? String(count) : '';
    this.body.replaceChildren(...content());
    if (focused !== undefined) {
      this.body
        .querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)
        ?.focus();
    }
  }

  private key = '';
  private readonly count: HTMLElement;
  private readonly body: HTMLElement;
}
