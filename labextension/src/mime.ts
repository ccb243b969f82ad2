/** `text/vnd.graphviz` shown as a drawing: one can move it and look closer, by mouse and by keys. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { draw } from './drawing';
import { button, make } from './dom';
import { type Box, moved, zoomed } from './viewbox';

const MIME = 'text/vnd.graphviz';
const STEP = 1.25;
const PART = 0.1;
const HINT =
  'Arrow keys move it, plus and minus zoom, 0 shows all; the wheel zooms with Ctrl.';

type Change = (seen: Box, whole: Box) => Box;

/** What the keys do. */
const KEYS: Record<string, Change> = {
  ArrowLeft: (seen, whole) => moved(seen, whole, -PART, 0),
  ArrowRight: (seen, whole) => moved(seen, whole, PART, 0),
  ArrowUp: (seen, whole) => moved(seen, whole, 0, -PART),
  ArrowDown: (seen, whole) => moved(seen, whole, 0, PART),
  '+': (seen, whole) => zoomed(seen, whole, STEP),
  '=': (seen, whole) => zoomed(seen, whole, STEP),
  '-': (seen, whole) => zoomed(seen, whole, 1 / STEP),
  '0': (_, whole) => whole
};

/** A drawing in an output. */
export class RenderedGraphviz extends Widget implements IRenderMime.IRenderer {
  constructor() {
    super();
    this.addClass('flyte-graphviz');
  }

  /**
   * Show a graph; one that cannot be drawn is shown as its text, with the reason.
   *
   * @param model - holds it.
   */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const source = String(model.data[MIME] ?? '');
    this.source = source;
    try {
      const said = model.metadata[MIME] as { engine?: unknown } | undefined;
      const svg = await draw(source, said?.engine);
      if (!this.isDisposed && source === this.source) {
        this.show_(svg);
      }
    } catch (error) {
      if (!this.isDisposed && source === this.source) {
        this.showText(source, error);
      }
    }
  }

  private show_(svg: SVGSVGElement): void {
    const [x, y, width, height] = (svg.getAttribute('viewBox') ?? '0 0 1 1')
      .split(/[\s,]+/)
      .map(Number) as [number, number, number, number];
    this.whole = this.seen = { x, y, width, height };
    // the sizes are points there; without the second one the picture keeps its shape
    svg.setAttribute('width', `${Math.round(width * 1.333)}`);
    svg.removeAttribute('height');
    svg.style.aspectRatio = `${width} / ${height}`;
    svg.setAttribute('role', 'img');
    const name =
      svg.querySelector('g.graph > title')?.textContent?.trim() || 'graph';
    const label = `Graph ${name}`.replace('Graph graph', 'Graph');
    svg.setAttribute('aria-label', label);
    const stage = make('div', {
      class: 'flyte-graphviz-stage',
      tabindex: '0',
      role: 'group',
      'aria-label': `${label}. ${HINT}`
    });
    stage.append(svg);
    this.svg = svg;
    this.listen(stage);
    const tools = make('div', {
      class: 'flyte-graphviz-tools',
      role: 'toolbar',
      'aria-label': 'Zoom'
    });
    tools.append(
      button('−', 'Zoom out', () => this.change(KEYS['-'] as Change)),
      button('+', 'Zoom in', () => this.change(KEYS['+'] as Change)),
      button('1:1', 'Show all', () => this.change(KEYS['0'] as Change))
    );
    this.node.replaceChildren(stage, tools);
  }

  private showText(source: string, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error);
    const why = make('p', { class: 'flyte-graphviz-error', role: 'note' });
    why.textContent = `This graph cannot be drawn: ${said.trim()}`;
    const text = make('pre', {});
    text.textContent = source;
    this.node.replaceChildren(why, text);
  }

  private change(change: Change): void {
    this.seen = change(this.seen, this.whole);
    const { x, y, width, height } = this.seen;
    this.svg?.setAttribute('viewBox', `${x} ${y} ${width} ${height}`);
  }

  private listen(stage: HTMLElement): void {
    stage.addEventListener('keydown', event => {
      const change = KEYS[event.key];
      if (change && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        event.stopPropagation();
        this.change(change);
      }
    });
    stage.addEventListener(
      'wheel',
      event => {
        // without a key the wheel scrolls the notebook, as it does everywhere else
        if (!event.ctrlKey && !event.metaKey) {
          return;
        }
        event.preventDefault();
        const place = this.svg?.getBoundingClientRect();
        if (place) {
          const at = {
            x: (event.clientX - place.left) / place.width,
            y: (event.clientY - place.top) / place.height
          };
          const factor = event.deltaY < 0 ? STEP : 1 / STEP;
          this.change((seen, whole) => zoomed(seen, whole, factor, at));
        }
      },
      { passive: false }
    );
    stage.addEventListener('pointerdown', event => {
      if (event.button !== 0 || (event.target as Element).closest('a')) {
        return;
      }
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener('pointermove', event => {
      const place = this.svg?.getBoundingClientRect();
      if (place && stage.hasPointerCapture(event.pointerId)) {
        this.change((seen, whole) =>
          moved(
            seen,
            whole,
            -event.movementX / place.width,
            -event.movementY / place.height
          )
        );
      }
    });
  }


  private source = '';
  private svg: SVGSVGElement | null = null;
  private whole: Box = { x: 0, y: 0, width: 1, height: 1 };
  private seen: Box = this.whole;
}

const extension: IRenderMime.IExtension = {
  id: 'flyte-jupyter:graphviz',
  description: 'Draws graphs in the language of Graphviz.',
  rendererFactory: {
    safe: true,
    mimeTypes: [MIME],
    createRenderer: () => new RenderedGraphviz()
  },
  // a page that somebody made of a graph comes before it, a mere picture after it
  rank: 55,
  dataType: 'string'
};

export default extension;
