/** Which colours of a drawing follow the theme: dark ink and white paper, and no other. */

const NAMES: Record<string, string> = {
  black: '#000000',
  white: '#ffffff',
  transparent: 'none'
};
const HEX = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})(?:ff)?$/;
/** Above this the channels differ so much that somebody has chosen a colour. */
const GREY = 0.12;

/** What stands for a colour on the page. */
export type Role = 'ink' | 'paper' | 'none' | 'own';

/**
 * Say what a colour of Graphviz is for.
 *
 * @param colour - as the attribute has it; nothing stands for Graphviz's own black.
 */
export function roleOf(colour: string | null): Role {
  const said = (colour ?? 'black').trim().toLowerCase();
  const value = NAMES[said] ?? said;
  if (value === 'none') {
    return 'none';
  }
  const found = HEX.exec(value);
  if (found === null) {
    return 'own';
  }
  const channels = found.slice(1).map(part => parseInt(part, 16) / 255);
  const most = Math.max(...channels);
  const least = Math.min(...channels);
  if (least > 0.95) {
    return 'paper';
  }
  return most < 0.35 && most - least < GREY ? 'ink' : 'own';
}

/**
 * Say whether a drawing can follow the theme: one that colours its ground keeps white paper.
 *
 * @param grounds - the fills of the graph and of its clusters.
 */
export function followsTheme(grounds: Iterable<string | null>): boolean {
  for (const fill of grounds) {
    if (roleOf(fill ?? 'none') === 'own') {
      return false;
    }
  }
  return true;
}
