/** One part of the side bar: it folds, and keeps the focus where it was when it is shown anew. */

import { make } from './dom';

/** A part with a heading, whose content is made anew when it has changed. */
export class Section {
  readonly node: HTMLDetailsElement;

  /**
   * @param title - its heading.
   * @param tools - buttons beside it.
   */
  constructor(title: string, ...tools: HTMLElement[]) {
    this.count = make('span', { class: 'flyte-count' });
    this.body = make('div', { class: 'flyte-section-body' });
    this.node = make(
      'details',
      { class: 'flyte-section', open: '' },
      make(
        'summary',
        {},
        make('h3', {}, title),
        this.count,
        make('span', { class: 'flyte-tools' }, ...tools)
      ),
      this.body
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
