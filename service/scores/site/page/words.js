// What the service's words are called on the page.

export const words = {
  instrument: [['piano', 'Piano'], ['guitar', 'Guitar'], ['both', 'Piano and guitar']],
  difficulty: [['beginner', 'Beginner'], ['intermediate', 'Intermediate'], ['advanced', 'Advanced']],
  visibility: [['private', 'Private'], ['unlisted', 'Unlisted'], ['public', 'Public']],
  status: [['active', 'Active'], ['inactive', 'Inactive'], ['archived', 'Archived']],
};

export const periods = [
  ['medieval', 'Medieval'], ['renaissance', 'Renaissance'], ['baroque', 'Baroque'], ['classical', 'Classical'],
  ['romantic', 'Romantic'], ['modern', 'Modern'], ['contemporary', 'Contemporary'],
];

/** entry is what a word is called; a word that is not known yet is shown as it is. */
export function entry(list, word) {
  return list.find(([value]) => value === word)?.[1] ?? word;
}

/** lasting is a length of time, such as 4:05. */
export function lasting(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] > 0 ? parts : parts.slice(1);
  return shown.map((n, i) => (i === 0 ? String(n) : String(n).padStart(2, '0'))).join(':');
}
