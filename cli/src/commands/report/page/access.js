// Every path that a report names, once, in an order in which what is below a directory is a range.

/** What a path can be, each with the word that finds it (`is:…`), and its name for one and for several. */
const KINDS = [
  { bit: 1, word: "undeclared", one: "undeclared", many: "undeclared" },
  { bit: 2, word: "refused", one: "refused", many: "refused" },
  { bit: 4, word: "unused", one: "not used", many: "not used" },
  { bit: 8, word: "host", one: "host file", many: "host files" },
  { bit: 16, word: "written", one: "written", many: "written" },
  { bit: 32, word: "entry", one: "entry", many: "entries" },
];
const [UNDECLARED, REFUSED, UNUSED, HOST, WRITTEN, ENTRY] = KINDS.map((kind) => kind.bit);
/** The words of each set of kinds, by its bits. */
const KIND_WORDS = Array.from({ length: 1 << KINDS.length }, (_, bits) =>
  KINDS.filter((kind) => bits & kind.bit)
    .map((kind) => `is:${kind.word}`)
    .join(" "),
);
const ENTRY_KINDS = { fixed: "fixed", readOnly: "read-only", writable: "writable", scratch: "scratch" };

/** What was asked for and not shown: by whole paths, if the program was let go through hidden directories. */
function asked(report) {
  return report.deep ?? report;
}

function isUnused(entry) {
  return !entry.used && entry.kind !== "scratch";
}

/** Whose a path is, in words. */
function ownerText(owner) {
  switch (owner?.kind) {
    case "debian":
      return `Debian: ${owner.packages.map(escaped).join(", ")}`;
    case "rpm":
      return `RPM: ${owner.packages.map(escaped).join(", ")}`;
    case "homebrew":
      return `Homebrew: ${escaped(owner.keg)} ${escaped(owner.version)}`;
    case "store":
      return `Store: ${escaped(owner.name)}`;
    default:
      return null;
  }
}

/** The paths of a report, in order. */
function rowsOf(report) {
  const rows = new Map();
  const add = (path, bit, more) => {
    const text = shown(path);
    let row = rows.get(text);
    if (!row) {
      // No name has a NUL, which comes before everything else.
      row = { path: text, key: text.replace(/^\//, "").replaceAll("/", "\0"), bits: 0 };
      rows.set(text, row);
    }
    row.bits |= bit;
    if (more) Object.assign(row, more);
  };
  for (const { path, owner } of asked(report).undeclared ?? []) add(path, UNDECLARED, { owner: ownerText(owner) });
  for (const path of report.refused?.paths ?? []) add(path, REFUSED);
  for (const entry of report.entries ?? []) add(entry.at, ENTRY | (isUnused(entry) ? UNUSED : 0), { entry });
  for (const host of report.hostFiles ?? []) add(host.path, HOST, { host });
  for (const file of report.written?.files ?? []) add(file.path, WRITTEN, { written: file });
  for (const input of report.unusedInputs ?? []) add(input.path, UNUSED, { input });
  return [...rows.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** What a search finds a path by. */
function searchText(row) {
  if (row.text === undefined) {
    const removable = row.input?.removable ? "is:removable" : "";
    row.text = `${row.path.toLowerCase()} ${row.owner?.toLowerCase() ?? ""} ${KIND_WORDS[row.bits]} ${removable}`;
  }
  return row.text;
}

/** The rows that have every word of a query. */
function matching(rows, query) {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return words.length === 0 ? rows : rows.filter((row) => words.every((word) => searchText(row).includes(word)));
}

/** Rows in order as a tree, whose nodes are ranges: nothing is made before it is asked for. */
class PathIndex {
  constructor(rows) {
    this.rows = rows;
    const sums = (value) => {
      const sum = new Float64Array(rows.length + 1);
      for (let index = 0; index < rows.length; index++) sum[index + 1] = sum[index] + value(rows[index]);
      return sum;
    };
    this.counts = KINDS.map((kind) => sums((row) => (row.bits & kind.bit ? 1 : 0)));
    this.entryBytes = sums((row) => row.entry?.bytesRead ?? 0);
    this.hostBytes = sums((row) => row.host?.bytesRead ?? 0);
  }

  /** The top of the tree: what is not below anything. */
  *top() {
    const own = this.rows[0]?.key === "";
    if (own) yield { label: "/", key: "", low: 0, high: 1, row: this.rows[0] };
    yield* this.children({ key: "", low: 0, high: this.rows.length, row: own ? this.rows[0] : null });
  }

  /** What is directly below a node; directories that lead to one other thing only are one node with it. */
  *children({ key: above, low, high, row }) {
    const start = above === "" ? 0 : above.length + 1;
    for (let at = row ? low + 1 : low; at < high;) {
      const first = this.rows[at].key;
      let key = componentEnd(first, start);
      const until = this.bound(`${key}\u0001`, at, high);
      const last = this.rows[until - 1].key;
      while (key !== first) {
        const next = componentEnd(first, key.length + 1);
        if (last !== next && !last.startsWith(`${next}\0`)) break;
        key = next;
      }
      const own = key === first ? this.rows[at] : null;
      yield { label: key.slice(start).replaceAll("\0", "/"), key, low: at, high: until, row: own };
      at = until;
    }
  }

  /** The first row from `low` to `high` whose key is not less. */
  bound(key, low, high) {
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.rows[middle].key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  hasChildren({ low, high, row }) {
    return high - low > (row ? 1 : 0);
  }

  /** How many paths of each kind a node has, itself included. */
  kinds({ low, high }) {
    const counted = KINDS.map((kind, index) => ({
      ...kind,
      count: this.counts[index][high] - this.counts[index][low],
    }));
    return counted.filter(({ count }) => count > 0);
  }

  /** Bytes that were read: an entry's have those of the files in it. */
  bytes({ low, high }) {
    const entries = this.counts[KINDS.length - 1];
    const sums = entries[high] > entries[low] ? this.entryBytes : this.hostBytes;
    return sums[high] - sums[low];
  }
}

/** A key as far as the end of the component that begins at `start`. */
function componentEnd(key, start) {
  const end = key.indexOf("\0", start);
  return end < 0 ? key : key.slice(0, end);
}
