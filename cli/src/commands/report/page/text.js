// Names as loopbox prints them, numbers, and elements whose texts are never taken for markup.

/** Control characters and those that reorder text or cannot be seen: the same as on a terminal (cli/src/output/escape.rs). */
const MISLEADING =
  /[\p{Cc}\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
/** Nearly every name, and quicker to find out. */
const PLAIN = /^[ -~]*$/;
const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
/** Letters that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** A store path or the end of one: what is before its hash, the hash, the rest. */
const STORE_PATH = /^(.*?\/)?([0-9a-z]{32}-)(.+)$/;
/** Lines of a list that are added at once. */
const MORE = 100;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function escaped(text) {
  if (PLAIN.test(text)) return text;
  return text.replace(MISLEADING, (char) => SHORT_ESCAPES[char] ?? `\\u{${char.codePointAt(0).toString(16)}}`);
}

/** A path as text: reports have it as text, or as the list of its bytes if it is not UTF-8. */
function shown(path) {
  if (!Array.isArray(path)) return escaped(path);
  let text = "";
  for (let at = 0; at < path.length;) {
    const length = path[at] < 0x80 ? 1 : path[at] < 0xe0 ? 2 : path[at] < 0xf0 ? 3 : 4;
    try {
      text += escaped(UTF8.decode(Uint8Array.from(path.slice(at, at + length))));
      at += length;
    } catch {
      text += `\\x${path[at].toString(16).padStart(2, "0")}`;
      at += 1;
    }
  }
  return text;
}

/** An element. Strings among its children become text; attributes that are null are left out. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A path that was made text: the hash of a store path stands back, and components do not reorder each other. */
function pathElement(text) {
  const found = element("bdi", { dir: "ltr", class: "path" });
  const store = STORE_PATH.exec(text);
  if (RIGHT_TO_LEFT.test(text)) {
    text.split("/").forEach((part, index) => found.append(index > 0 ? "/" : "", element("bdi", {}, part)));
  } else if (store) {
    found.append(element("span", { class: "faint" }, store[1] ?? "", store[2]), store[3]);
  } else {
    found.textContent = text;
  }
  return found;
}

function badge(text, kind) {
  return element("span", { class: `badge ${kind ?? ""}` }, text);
}

function number(value) {
  return value.toLocaleString("en-US");
}

/** `1 path`, `2 paths`. */
function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

function byteSize(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${unit === 0 ? bytes : bytes.toFixed(2)} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds >= 100) return `${number(Math.round(seconds))} s`;
  return seconds >= 1 ? `${seconds.toFixed(2)} s` : `${(seconds * 1000).toFixed(1)} ms`;
}

/** Appends `make(item)` for the first items, and gives a button for more of them. */
function appendBounded(list, items, first, make) {
  let next = 0;
  const button = element("button", { type: "button", class: "more" });
  const append = (count) => {
    items.slice(next, next + count).forEach((item) => list.append(make(item)));
    next += count;
    const left = items.length - next;
    button.hidden = left <= 0;
    button.textContent = left > MORE ? `Show ${MORE} more of ${number(left)}` : `Show ${number(left)} more`;
  };
  append(first);
  button.addEventListener("click", () => append(MORE));
  return button;
}
