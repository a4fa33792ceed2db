"""What the table of documents does in the browser: which documents are chosen, and which button was pressed.

The server draws the table anew each time something changes, and gradio changes the page's elements in place: after
that the script puts the ticks back, and the focus to the row it was in, which may now stand elsewhere. Which documents
are chosen is kept for as long as the page is open, also while its tab is not shown.
"""

from __future__ import annotations

TABLE = """
const chosen = window.tallerChosen ??= new Set();
const sourceOf = (node) => node.closest('tr')?.dataset.source ?? '';
const keyOf = (node) => node?.dataset?.act ? node.dataset.act + '|' + sourceOf(node) + (node.dataset.column ?? '') : '';
const acting = () => [...element.querySelectorAll('[data-act]')];
let focused = '';

const draw = () => {
  const boxes = [...element.querySelectorAll('input[data-act=choose]')];
  const here = new Set(boxes.map(sourceOf));
  if (element.querySelector('table[data-complete]')) {
    for (const source of [...chosen]) if (!here.has(source)) chosen.delete(source);
  }
  for (const box of boxes) box.checked = chosen.has(sourceOf(box));
  const ticked = boxes.filter((box) => box.checked).length;
  const all = element.querySelector('input[data-act=choose-all]');
  if (all) {
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  const bar = element.querySelector('.selection');
  if (!bar) return;
  bar.hidden = chosen.size === 0;
  const count = bar.querySelector('span');
  count.textContent = (chosen.size === 1 ? count.dataset.one : count.dataset.many).replace('{count}', chosen.size);
};

const choose = () => { draw(); trigger('select', {sources: [...chosen]}); };

element.addEventListener('change', (event) => {
  const act = event.target.dataset.act;
  const boxes = act === 'choose' ? [event.target]
    : act === 'choose-all' ? [...element.querySelectorAll('input[data-act=choose]')] : [];
  for (const box of boxes) {
    if (event.target.checked) chosen.add(sourceOf(box)); else chosen.delete(sourceOf(box));
  }
  if (boxes.length) choose();
});

element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  const act = button.dataset.act;
  if (act === 'open') {
    trigger('expand', {source: sourceOf(button)});
  } else if (act === 'unlock') {
    trigger('edit', {source: sourceOf(button)});
  } else if (act === 'remove-chosen') {
    trigger('click', {act: 'remove', sources: [...chosen]});
    chosen.clear();
    choose();
  } else if (act === 'clear-chosen') {
    chosen.clear();
    choose();
  } else {
    trigger('click', {act, sources: [sourceOf(button)], column: button.dataset.column ?? ''});
  }
});

element.addEventListener('focusin', (event) => { focused = keyOf(event.target); });
element.addEventListener('focusout', (event) => {
  if (event.relatedTarget && !element.contains(event.relatedTarget)) focused = '';
});

watch('value', () => {
  draw();
  const active = document.activeElement;
  if (!focused || (active !== document.body && !element.contains(active)) || keyOf(active) === focused) return;
  const same = acting().find((node) => keyOf(node) === focused);
  // What had the focus may be gone: the next row must not be pressed in its place.
  if (same) same.focus({preventScroll: true}); else if (element.contains(active)) active.blur();
});

choose();
"""

# A block whose buttons say by their data what they do.
BUTTONS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (button) trigger('click', {...button.dataset});
});
"""

# The panel beside the table: on a phone it stands below and is brought into view when it changes its subject.
PANEL = BUTTONS + """
const narrow = () => window.matchMedia('(max-width: 900px)').matches;
let subject = '';
const show = () => {
  const now = element.querySelector('[data-subject]')?.dataset.subject ?? '';
  if (now && now !== subject) {
    element.closest('#inside')?.scrollTo({top: 0});
    if (narrow()) element.closest('#inside')?.scrollIntoView({behavior: 'smooth', block: 'start'});
  }
  subject = now;
};
watch('value', show);
show();
"""
