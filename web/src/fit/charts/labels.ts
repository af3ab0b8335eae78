// Where labels of marks go so that none covers another or its mark: each tries the sides of its own; those without room
// are dropped.

export interface Anchor {
  x: number; // px
  y: number;
  text: string;
}

export interface Placed extends Anchor {
  dx: number;
  dy: number;
  end: boolean; // text ends at the mark, rather than starting there
}

const kCharacter = 6.6;
const kLine = 14;
const kMark = 6; // half a mark

type Box = [left: number, top: number, right: number, bottom: number];

const overlap = (a: Box, b: Box): boolean => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// The first anchors have priority.
export function placeLabels(anchors: Anchor[], width: number, height: number): Placed[] {
  const taken: Box[] = anchors.map(({ x, y }) => [x - kMark, y - kMark, x + kMark, y + kMark]);
  const placed: Placed[] = [];
  for (const anchor of anchors) {
    const wide = anchor.text.length * kCharacter;
    for (const [dx, dy, end] of [[9, 0, false], [-9, 0, true], [9, 13, false], [9, -13, false], [-9, 13, true], [-9, -13, true]] as const) {
      const left = end ? anchor.x + dx - wide : anchor.x + dx;
      const top = anchor.y + dy - kLine / 2;
      const box: Box = [left, top, left + wide, top + kLine];
      if (box[0] < 0 || box[2] > width || box[1] < 0 || box[3] > height) continue;
      if (taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      placed.push({ ...anchor, dx, dy, end });
      break;
    }
  }
  return placed;
}
