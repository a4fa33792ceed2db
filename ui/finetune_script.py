"""What the Fine-tune tab does in the browser by itself: a log that follows its end, values under the pointer, the
list's menus and names, a download.

Each text is the `js_on_load` of one HTML block.
"""

from __future__ import annotations

from ui.rename_script import RENAME

# Follows the end of the log as it grows, unless the reader has scrolled up.
FOLLOW = """
let following = true;
const log = () => element.querySelector('pre');
element.addEventListener('scroll', () => {
  const box = log();
  if (box) following = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
}, true);
const follow = () => { const box = log(); if (box && following) box.scrollTop = box.scrollHeight; };
watch('value', follow);
follow();
"""

# A line and a note at the step under the pointer, or at the one the arrow keys chose.
CURVE = """
let step = null;
const area = (figure) => figure.querySelector('.plot .area');
const read = (figure) => JSON.parse(figure.dataset.lines || '[]');
const show = () => {
  const figure = element.querySelector('figure.curves');
  if (!figure) return;
  const tip = figure.querySelector('.tip'), cursors = figure.querySelectorAll('.cursor');
  tip.hidden = step === null;
  for (const cursor of cursors) cursor.hidden = step === null;
  if (step === null) return;
  const lines = read(figure), last = Number(figure.dataset.last);
  const nearest = (points) => points.reduce((one, other) =>
    Math.abs(other[0] - step) < Math.abs(one[0] - step) ? other : one);
  const at = nearest(lines[0].points)[0];
  const number = (value) => value.toLocaleString(document.documentElement.lang, value < 0.01
    ? {maximumSignificantDigits: 3} : {minimumFractionDigits: 3, maximumFractionDigits: 3});
  tip.replaceChildren();
  const title = document.createElement('b');
  title.textContent = `${figure.dataset.step} ${at}`;
  tip.append(title);
  for (const line of lines) {
    const row = document.createElement('span');
    row.className = line.kind;
    row.textContent = `${line.name}: ${number(nearest(line.points)[1])}`;
    tip.append(row);
  }
  const share = at / last;
  for (const cursor of cursors) cursor.style.left = `${100 * share}%`;
  const box = area(figure).getBoundingClientRect(), outer = figure.getBoundingClientRect();
  const x = box.left - outer.left + share * box.width;
  tip.style.left = share > 0.55 ? '' : `${x + 12}px`;
  tip.style.right = share > 0.55 ? `${outer.width - x + 12}px` : '';
};
element.addEventListener('pointermove', (event) => {
  const figure = event.target.closest('figure.curves');
  if (!figure) return;
  const box = area(figure).getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  step = share < -0.02 || share > 1.02 ? null : Math.min(1, Math.max(0, share)) * Number(figure.dataset.last);
  show();
});
element.addEventListener('pointerleave', () => { step = null; show(); });
element.addEventListener('keydown', (event) => {
  const figure = event.target.closest('figure.curves');
  if (!figure || !['ArrowLeft', 'ArrowRight', 'Home', 'End', 'Escape'].includes(event.key)) return;
  event.preventDefault();
  const points = read(figure)[0].points, steps = points.map((point) => point[0]);
  if (event.key === 'Escape') step = null;
  else if (event.key === 'Home' || event.key === 'End') step = event.key === 'Home' ? steps[0] : steps.at(-1);
  else {
    const now = step === null ? steps.length : steps.findIndex((one) => one >= step);
    const moved = (now < 0 ? steps.length - 1 : now) + (event.key === 'ArrowLeft' ? -1 : 1);
    step = steps[Math.min(steps.length - 1, Math.max(0, moved))];
  }
  show();
});
element.addEventListener('focusout', () => { step = null; show(); });
watch('value', show);
"""

# The list of runs: each button says what it does; a name is changed in its place.
RUNS = RENAME + """
const act = (row, name, value = '') => trigger('click', {act: name, name: row?.dataset.name ?? '', value});
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  const row = button.closest('[data-name]');
  const menu = button.closest('details');
  if (menu) menu.open = false;
  if (button.dataset.act === 'rename') return rename(row, (name) => act(row, 'rename', name));
  if (button.dataset.act === 'again') {
    trigger('select', {name: row.dataset.name});
    document.querySelector('#new-run')?.scrollIntoView({behavior: 'smooth', block: 'start'});
    return;
  }
  if (button.dataset.act === 'undo') return act(button, 'undo');
  act(row, button.dataset.act);
  if (button.dataset.act === 'show' || button.dataset.act === 'compare') {
    document.querySelector('#run-status')?.scrollIntoView({behavior: 'smooth', block: 'nearest'});
  }
});
"""

# A file for the reader: the block holds a link to it.
DOWNLOAD = """
watch('value', () => element.querySelector('a[download]')?.click());
"""
