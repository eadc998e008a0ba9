import { isMissing } from './sms-text.js';

/** The kind of a character of the text. */
const PLAIN = 0;
const LINK = 1;
/** The marks and the punctuation at a link's end: they may close what was opened before the link. */
const LINK_END = 2;
const CODE = 3;
const REMOVED = 4;
const BULLET = 5;

/** One kind for each UTF-16 unit of the text. */
type Kinds = Uint8Array;

/**
 * Removes the marks that WhatsApp renders: `*bold*`, `_italic_`, `~strikethrough~`, code in one or three backticks, `>
 * quote`. A bullet `* item` becomes `- item`. The run time is linear in the length.
 *
 * Code and links stay as they are. Without code, a second call changes nothing.
 *
 * Sources: WhatsApp's FAQ "How to format your messages" (https://faq.whatsapp.com/539178204879377); for the positions
 * at which a mark opens and closes, the expressions of the mautrix-whatsapp bridge. Doubled and overlapping marks are
 * undocumented: here `**bold**` loses all its marks, and each kind of mark is matched by itself.
 */
export function withoutFormatting(text: string): string {
  const kinds = new Uint8Array(text.length);
  findLinks(text, kinds);
  removeFences(text, kinds);
  removeInlineCode(text, kinds);
  removePairs(text, kinds);
  removeLineMarks(text, kinds);
  return assemble(text, kinds);
}

const LINK_CHARACTERS = /[\p{L}\p{M}\p{N}\-._~:/?#[\]@!$&'()*+,;=%]+/gu;

function findLinks(text: string, kinds: Kinds): void {
  for (const { 0: run, index } of text.matchAll(LINK_CHARACTERS)) {
    const start = linkStart(run);
    if (start === -1) {
      findAddresses(run, index, kinds);
    } else {
      const end = stepBack(run, run.length, /[*_~.,;:!?)'\]]/);
      kinds.fill(LINK, index + start, index + end);
      kinds.fill(LINK_END, index + end, index + run.length);
    }
  }
}

/** Returns where a link starts: at `www.`, at a scheme, or at a host that a path follows. -1 if there is no link. */
function linkStart(run: string): number {
  const www = run.search(/(?<![\p{L}\p{N}])www\./iu);
  for (let slash = run.indexOf('/'); slash !== -1; slash = run.indexOf('/', slash + 1)) {
    const start = stepBack(run, slash, /[\p{L}\p{N}.+:-]/u);
    const isLink = /[\p{L}\p{N}](?:\.\p{L}|:\/\/)/u.test(run.slice(start, slash + 2));
    if (isLink) return www === -1 ? start : Math.min(start, www);
  }
  return www;
}

/** The part of an e-mail address before the @, from its first letter or digit. */
function findAddresses(run: string, index: number, kinds: Kinds): void {
  for (let at = run.indexOf('@'); at !== -1; at = run.indexOf('@', at + 1)) {
    let start = stepBack(run, at, /[\p{L}\p{N}.+%_-]/u);
    while (start < at && !/[\p{L}\p{N}]/u.test(run.charAt(start))) start++;
    kinds.fill(LINK, index + start, index + at);
  }
}

function stepBack(text: string, from: number, over: RegExp): number {
  let at = from;
  while (at > 0 && over.test(text.charAt(at - 1))) at--;
  return at;
}

const FENCE = '```';

function removeFences(text: string, kinds: Kinds): void {
  let open = text.indexOf(FENCE);
  while (open !== -1) {
    const close = text.indexOf(FENCE, open + FENCE.length);
    if (close === -1) return;
    const blank = isMissing(text.slice(open + FENCE.length, close));
    if (!blank) removeCodeMarks(kinds, open, close, FENCE.length);
    open = blank ? close : text.indexOf(FENCE, close + FENCE.length);
  }
}

function removeInlineCode(text: string, kinds: Kinds): void {
  for (let open = text.indexOf('`'), end = open; open !== -1; open = text.indexOf('`', end + 1)) {
    end = open;
    if (!isSingleBacktick(text, kinds, open) || !startsText(text, open + 1) || endsWord(text, open)) continue;
    end = codeEnd(text, kinds, open);
    if (isSingleBacktick(text, kinds, end)) removeCodeMarks(kinds, open, end, 1);
  }
}

/** Returns where inline code closes, or else where the search ends: no backtick before that closes anything. */
function codeEnd(text: string, kinds: Kinds, open: number): number {
  let end = open + 1;
  for (; end < text.length && kinds[end] !== REMOVED && !LINE_BREAK.test(text.charAt(end)); end++) {
    if (isSingleBacktick(text, kinds, end) && endsText(text, end) && !startsWord(text, end + 1)) break;
  }
  return end;
}

function isSingleBacktick(text: string, kinds: Kinds, at: number): boolean {
  return text[at] === '`' && kinds[at] === PLAIN && text[at - 1] !== '`' && text[at + 1] !== '`';
}

function removeCodeMarks(kinds: Kinds, open: number, close: number, width: number): void {
  kinds.fill(CODE, open, close);
  kinds.fill(REMOVED, open, open + width);
  kinds.fill(REMOVED, close, close + width);
}

const LINE_BREAK = /[\n\r\u2028\u2029]/;

/** A longer run of one mark is a rule or a blank to fill in. */
const LONGEST_MARK = 3;

/** The characters around a mark in a smiley such as ^_^ or >_<. */
const SMILEY = /[\^=<>;.\-'¬]/;

/** The positions of the unmatched marks of one kind on a line. A run never closes what it opened. */
interface Unmatched {
  readonly openers: { readonly at: number; readonly run: number }[];
  readonly linkEnds: number[];
}

type Line = Readonly<Record<string, Unmatched>>;

function removePairs(text: string, kinds: Kinds): void {
  let line: Line | undefined;
  for (const { 0: found, index } of text.matchAll(/[*_~]+|[\n\r\u2028\u2029]/g)) {
    if (LINE_BREAK.test(found)) {
      if (line !== undefined) matchLinkEnds(line, kinds);
      line = undefined;
    } else if (kinds[index] === PLAIN || kinds[index] === LINK_END) {
      const unmatched = (): Unmatched => ({ openers: [], linkEnds: [] });
      line ??= { '*': unmatched(), _: unmatched(), '~': unmatched() };
      matchRun(text, kinds, line, { start: index, end: index + found.length });
    }
  }
  if (line !== undefined) matchLinkEnds(line, kinds);
}

/**
 * Matches the marks of a run with those before it. What surrounds the whole run decides whether it opens and closes:
 * `*_x_*` is a pair in a pair, and what is left of a run gets no new meaning.
 */
function matchRun(
  text: string,
  kinds: Kinds,
  line: Line,
  { start, end }: { start: number; end: number },
): void {
  if (SMILEY.test(text.charAt(start - 1)) && SMILEY.test(text.charAt(end))) return;
  const [afterText, afterWord] = [endsText(text, start), endsWord(text, start)];
  const [beforeText, beforeWord] = [startsText(text, end), startsWord(text, end)];
  for (let first = start, last = start; first < end; first = last) {
    while (last < end && text[last] === text[first]) last++;
    const unmatched = line[text.charAt(first)];
    if (unmatched === undefined || last - first > LONGEST_MARK) continue;
    const opens = beforeText && (first > start || !afterWord);
    const closes = afterText && (last < end || !beforeWord);
    for (let at = first; at < last; at++) {
      const opener = unmatched.openers.at(-1);
      if (kinds[at] === LINK_END) {
        if (closes) unmatched.linkEnds.push(at);
      } else if (closes && opener !== undefined && opener.run !== start) {
        unmatched.openers.pop();
        kinds[opener.at] = kinds[at] = REMOVED;
      } else if (opens) {
        unmatched.openers.push({ at, run: start });
      }
    }
  }
}

/** A mark at a link's end belongs to the link, unless the line has an opener before it that no other mark closes. */
function matchLinkEnds(line: Line, kinds: Kinds): void {
  for (const { openers, linkEnds } of Object.values(line)) {
    for (const end of linkEnds.reverse()) {
      while ((openers.at(-1)?.at ?? 0) > end) openers.pop();
      const opener = openers.pop();
      if (opener !== undefined) kinds[opener.at] = kinds[end] = REMOVED;
    }
  }
}

const endsText = (text: string, at: number): boolean => /\S/.test(text.charAt(at - 1));

/** A combining character is part of the mark before it, e.g. in the keycap *️⃣. */
function startsText(text: string, at: number): boolean {
  return /^[^\s\p{M}]/u.test(text.slice(at, at + 2));
}

function startsWord(text: string, at: number): boolean {
  return /^[\p{L}\p{M}\p{N}]/u.test(text.slice(at, at + 2));
}

/** How far to look for the letter of combining characters, in UTF-16 units. */
const LONGEST_LETTER = 16;

/** A letter or a digit ends here. So does a name or an escape that has just begun; an emoji such as 1️⃣ is no digit. */
function endsWord(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - LONGEST_LETTER), at);
  return /(?:[\p{L}\p{N}](?:(?![\uFE0F\u20E3])\p{M})*|[@\\])$/u.test(before);
}

/** Removes the `> ` of quotes and marks bullets, if the line has a text. WhatsApp requires a space after either. */
function removeLineMarks(text: string, kinds: Kinds): void {
  for (const { 0: line, index } of text.matchAll(/[^\n\r\u2028\u2029]+/g)) {
    let end = index + line.length;
    while (end > index && (kinds[end - 1] === REMOVED || !IS_TEXT.test(text.charAt(end - 1)))) end--;
    let at = nextKept(kinds, index);
    while (text[at] === '>' && startsLine(text, kinds, at, end)) {
      const space = nextKept(kinds, at + 1);
      kinds[at] = kinds[space] = REMOVED;
      at = nextKept(kinds, space);
    }
    if (text[at] === '*' && startsLine(text, kinds, at, end)) kinds[at] = BULLET;
  }
}

const IS_TEXT = /[^\s*_~`>]/;

/** Whether a mark outside code has a space after it, and text after that. */
function startsLine(text: string, kinds: Kinds, mark: number, end: number): boolean {
  const space = nextKept(kinds, mark + 1);
  return kinds[mark] === PLAIN && text[space] === ' ' && kinds[space] === PLAIN && space < end;
}

function nextKept(kinds: Kinds, from: number): number {
  let at = from;
  while (kinds[at] === REMOVED) at++;
  return at;
}

function assemble(text: string, kinds: Kinds): string {
  let result = '';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    if (kinds[at] !== REMOVED && kinds[at] !== BULLET) continue;
    result += text.slice(from, at) + (kinds[at] === BULLET ? '-' : '');
    from = at + 1;
  }
  return result + text.slice(from);
}
