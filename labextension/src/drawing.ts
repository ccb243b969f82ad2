/** Graphviz's own program, and its drawing made fit for a page: nothing runs, colours follow it. */

import type { Engine, Graphviz } from '@hpcc-js/wasm-graphviz';

import { keepsAttribute, keepsElement } from './allowed';
import { followsTheme, roleOf } from './colours';

const SHAPES = 'polygon, polyline, path, ellipse, circle, rect';

const ENGINES: readonly string[] = [
  'circo',
  'dot',
  'fdp',
  'neato',
  'osage',
  'patchwork',
  'sfdp',
  'twopi'
];

let program: Promise<Graphviz> | null = null;
let drawings = 0;

/**
 * Lay a graph out and return it as an element.
 *
 * @param source - in the language of Graphviz.
 * @param engine - that lays it out; `dot` for what is none.
 * @throws what Graphviz says of a source that it does not understand.
 */
export async function draw(
  source: string,
  engine: unknown = 'dot'
): Promise<SVGSVGElement> {
  program ??= import('@hpcc-js/wasm-graphviz').then(module =>
    module.Graphviz.load()
  );
  const graphviz = await program.catch(error => {
    program = null; // the page may be connected again later
    throw error;
  });
  const named = ENGINES.includes(String(engine)) ? String(engine) : 'dot';
  return element(graphviz.layout(source, 'svg', named as Engine));
}

/** Return a drawing as an element of this page, of which only what is allowed is left. */
export function element(svg: string): SVGSVGElement {
  const read = new DOMParser().parseFromString(svg, 'image/svg+xml');
  const root = document.importNode(read.documentElement, true);
  if (!(root instanceof SVGSVGElement)) {
    throw new Error('Graphviz has drawn nothing.');
  }
  clean(root);
  root.querySelectorAll('a').forEach(link => {
    link.setAttribute('target', '_blank');
    link.setAttribute('rel', 'noopener noreferrer');
  });
  ownNames(root, `flyte-drawing-${++drawings}-`);
  theme(root);
  return root;
}

function clean(node: Element): void {
  for (const { name, value } of Array.from(node.attributes)) {
    if (!keepsAttribute(name, value)) {
      node.removeAttribute(name);
    }
  }
  for (const child of Array.from(node.children)) {
    if (keepsElement(child.localName)) {
      clean(child);
    } else {
      child.remove();
    }
  }
}

/** Give every part a name that no other drawing of the page has. */
function ownNames(root: Element, prefix: string): void {
  root.querySelectorAll('[id]').forEach(node => {
    node.id = prefix + node.id;
  });
  root.querySelectorAll('[fill^="url(#"], [stroke^="url(#"]').forEach(node => {
    for (const name of ['fill', 'stroke']) {
      const said = node.getAttribute(name);
      if (said?.startsWith('url(#')) {
        node.setAttribute(name, said.replace('url(#', `url(#${prefix}`));
      }
    }
  });
}

/** Mark what follows the theme: `flyte-ink`, `flyte-line` and `flyte-paper`. */
function theme(root: SVGSVGElement): void {
  const graph = root.querySelector('g.graph');
  const ground = Array.from(graph?.children ?? []).find(
    child => child.localName === 'polygon'
  );
  const grounds = Array.from(root.querySelectorAll('g.cluster')).flatMap(
    cluster => Array.from(cluster.querySelectorAll(SHAPES))
  );
  const fills = [...grounds, ...(ground ? [ground] : [])].map(shape =>
    shape.getAttribute('fill')
  );
  if (!followsTheme(fills)) {
    root.classList.add('flyte-on-white');
    return;
  }
  ground?.setAttribute('fill', 'none');
  ground?.setAttribute('stroke', 'none');
  root.querySelectorAll('g.node, g.edge, g.cluster').forEach(group => {
    const shapes = Array.from(group.querySelectorAll(SHAPES));
    // what was given a colour keeps it, and its writing too, which was chosen for it
    const coloured =
      !group.classList.contains('edge') &&
      shapes.some(shape => roleOf(shape.getAttribute('fill')) === 'own');
    for (const shape of shapes) {
      mark(shape, 'fill', { ink: 'flyte-ink', paper: 'flyte-paper' });
      mark(shape, 'stroke', { ink: 'flyte-line' });
    }
    if (!coloured) {
      group
        .querySelectorAll('text')
        .forEach(text => mark(text, 'fill', { ink: 'flyte-ink' }));
    }
  });
  graph
    ?.querySelectorAll(':scope > text')
    .forEach(text => mark(text, 'fill', { ink: 'flyte-ink' }));
}

function mark(
  node: Element,
  attribute: string,
  classes: Partial<Record<string, string>>
): void {
  if (attribute === 'stroke' && !node.hasAttribute('stroke')) {
    return; // no line is drawn
  }
  const name = classes[roleOf(node.getAttribute(attribute))];
  if (name) {
    node.classList.add(name);
  }
}
