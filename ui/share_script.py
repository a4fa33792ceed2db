"""What the Share panel does in the browser by itself: the countdown, the clipboard, focus and scroll, the filter.

Each text is the `js_on_load` of one HTML block. The server draws a block anew when something changed, and gradio
changes the block's elements in place: what the reader unfolded, ticked, filtered and focused is put back after that.
"""

from __future__ import annotations

# The time left, from the moment of the end by the server's clock, which need not be the browser's.
COUNTDOWN = """
const ahead = {};  // by how much the server's clock is ahead of ours, in ms
const two = (number) => String(number).padStart(2, '0');
const clock = (seconds) => {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
};
const short = (seconds) => {
  const minutes = Math.ceil(seconds / 60), hours = Math.floor(minutes / 60);
  return [hours && `${hours} h`, (minutes % 60 || !hours) && `${minutes % 60} min`].filter(Boolean).join(' ');
};
const count = () => {
  for (const node of element.querySelectorAll('[data-ends-at]')) {
    const {endsAt, now, style} = node.dataset;
    ahead[endsAt] ??= 1000 * now - Date.now();
    const seconds = Math.max(0, Math.round((1000 * endsAt - Date.now() - ahead[endsAt]) / 1000));
    const words = style === 'clock' ? clock(seconds) : short(seconds);
    if (node.textContent !== words) node.textContent = words;
  }
};
watch('value', count);
setInterval(count, 1000);
count();
"""

# Focus stays on what it was on, also when that stands elsewhere now; where it is gone, it goes to the heading, so that
# nothing else is pressed in its place.
_FOCUS = """
const keyOf = (node) => node?.closest?.('[data-key]')?.dataset.key ?? '';
const stateOf = () => element.querySelector('[data-state]')?.dataset.state ?? '';
let focused = '', state = stateOf();
element.addEventListener('focusin', (event) => { focused = keyOf(event.target); });
element.addEventListener('focusout', (event) => {
  if (event.relatedTarget && !element.contains(event.relatedTarget)) focused = '';
});
const refocus = () => {
  const active = document.activeElement, inside = element.contains(active);
  const turned = state !== stateOf() && document.body.dataset.drawer === 'share';
  state = stateOf();
  const away = active !== document.body && !(turned && active.closest('#share-form'));  // which is hidden next
  if (inside ? !focused || keyOf(active) === focused : away || !(focused || turned)) return;
  const same = focused && element.querySelector(`[data-key="${CSS.escape(focused)}"]`);
  (same || element.querySelector('[tabindex="-1"]'))?.focus({preventScroll: true});
  if (turned) element.closest('.drawer').scrollTop = 0;
};
watch('value', refocus);
"""

# How sharing stands, and the way in: its buttons, and what they copy. A page that is not on this machine and came
# without HTTPS has no clipboard, hence the second way.
STATE = COUNTDOWN + _FOCUS + """
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement('textarea'), {value: text, className: 'unseen'});
    element.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
};
const copy = async (button) => {
  const done = await copied(button.dataset.copy);
  const before = button.dataset.before ??= button.textContent;
  const words = done ? button.dataset.done : button.dataset.failed;
  button.focus({preventScroll: true});
  button.textContent = words;
  const said = element.querySelector('[data-said]');
  if (said) said.textContent = words;
  const value = !done && button.parentElement.querySelector('code');
  if (value) getSelection().selectAllChildren(value);
  setTimeout(() => {
    if (button.textContent === words) button.textContent = before;
    if (said) said.textContent = '';
  }, 2500);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-key]');
  if (button?.dataset.copy) copy(button); else if (button) trigger('click', {...button.dataset});
});
"""

# Who is there and what was asked: buttons, and a list that grows above what is being read.
PEOPLE = _FOCUS + """
const unfolded = new Set();
let height = 0;
element.addEventListener('click', (event) => {
  const fold = event.target.closest('summary')?.parentElement;
  const button = event.target.closest('button[data-act]');
  if (fold) unfolded[fold.open ? 'delete' : 'add'](fold.dataset.fold);  // as it was before the click
  else if (button) trigger('click', {...button.dataset});
});
const putBack = () => {
  for (const fold of element.querySelectorAll('[data-fold]')) fold.open = unfolded.has(fold.dataset.fold);
  const list = element.querySelector('.asked');
  if (list?.scrollTop && height) list.scrollTop += list.scrollHeight - height;
  height = list?.scrollHeight ?? 0;
};
watch('value', putBack);
putBack();
"""

# The documents: ticks are the server's, the filter is the reader's.
DOCUMENTS = _FOCUS + """
const boxes = () => [...element.querySelectorAll('input[data-source]')];
const plain = (text) => text.normalize('NFKD').replace(/\\p{M}/gu, '').toLowerCase();
const matching = () => {
  const words = plain(element.querySelector('input[type=search]')?.value ?? '').split(/\\s+/);
  return boxes().filter((box) => words.every((word) => plain(box.dataset.source).includes(word)));
};
const find = () => {
  const found = new Set(matching());
  for (const box of boxes()) box.closest('li').hidden = !found.has(box);
  const none = element.querySelector('.none');
  if (none) none.hidden = found.size > 0;
};
const draw = () => {
  for (const box of boxes()) box.checked = 'allowed' in box.dataset;
  find();
};
const allow = (chosen, allowed) => {
  for (const box of chosen) box.checked = allowed;
  if (chosen.length) trigger('click', {sources: chosen.map((box) => box.dataset.source), allowed});
};
element.addEventListener('input', (event) => { if (event.target.type === 'search') find(); });
element.addEventListener('change', (event) => {
  if (event.target.dataset.source !== undefined) allow([event.target], event.target.checked);
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-all]');
  if (button) allow(matching(), button.dataset.all === '1');
});
watch('value', draw);
draw();
"""
