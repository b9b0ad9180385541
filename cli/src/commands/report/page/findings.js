// What a report found, what matters first: numbers, and a section for each that is not empty.

const LINES_AT_ONCE = 12;
const GROUPS_AT_ONCE = 8;
/** Groups are open while they have no more lines than these together. */
const LINES_OPEN = 24;

/** The numbers at the top; `search` shows in the tree what one counts. */
function tiles(report, search) {
  const { undeclared = [], undeclaredIncomplete, missing = 0 } = asked(report);
  const { paths: refused = [], incomplete } = report.refused ?? {};
  const inputs = inputsOf(report);
  const unused = inputs.filter((input) => !input.used).length;
  const removable = inputs.filter((input) => input.removable).length;
  const sum = (value) => inputs.reduce((total, input) => total + value(input), 0);
  const hosts = report.hostFiles ?? [];
  const places = writtenPlaces(report);
  const calls = Object.values(report.nfsCalls ?? {}).reduce((total, count) => total + count, 0);
  const tile = ({ value, label, note, query, kind }) => {
    const parts = [
      element("b", {}, value),
      element("span", {}, label),
      note ? element("span", { class: "note" }, note) : null,
    ];
    const attributes = { class: `tile ${kind ?? ""}` };
    if (!query) return element("div", attributes, ...parts);
    return element(
      "button",
      { type: "button", ...attributes, title: "Show these in the tree", onclick: () => search(query) },
      ...parts,
    );
  };
  const found = (list, query, kind) => (list.length > 0 ? { query, kind } : { kind: "none" });
  const atLeast = (list, is) => `${is ? "≥ " : ""}${number(list.length)}`;
  return element(
    "div",
    { class: "tiles" },
    tile({
      value: atLeast(undeclared, undeclaredIncomplete),
      label: "undeclared",
      note: "on this machine, not in the view",
      ...found(undeclared, "is:undeclared", "bad"),
    }),
    tile({
      value: atLeast(refused, incomplete),
      label: "refused",
      note: "could not be reached or changed",
      ...found(refused, "is:refused", "bad"),
    }),
    tile({
      value: `${number(unused)} of ${number(inputs.length)}`,
      label: "not used",
      note: removable > 0 ? `${number(removable)} removable` : null,
      ...(unused > 0 ? { query: "is:unused", kind: "warn" } : { kind: "none" }),
    }),
    tile({
      value: number(hosts.length + (report.hostFilesLeftOut ?? 0)),
      label: "host files read",
      note: "others may change them",
      ...found(hosts, "is:host", "host"),
    }),
    tile({
      value: byteSize(sum((input) => input.bytesRead)),
      label: "read",
      note: `of ${counted(
        sum((input) => input.filesRead),
        "file",
      )}`,
    }),
    tile({
      value: byteSize(places.reduce((total, place) => total + place.bytesWritten, 0)),
      label: "written",
      note: `to ${counted(
        places.reduce((total, place) => total + place.filesWritten, 0),
        "file",
      )}`,
      ...(places.length > 0 ? { query: "is:written" } : { kind: "none" }),
    }),
    tile({ value: number(missing), label: "missing", note: "asked for, and nowhere" }),
    tile({
      value: number(calls),
      label: "NFS calls",
      note: report.seconds ? `in ${duration(report.seconds.run)}` : null,
    }),
  );
}

/** What a build does where hidden directories can be walked. */
function deepSection({ deep }) {
  if (!deep?.outcome) return null;
  const outputs = (deep.outputs ?? []).flatMap((name, index) => [
    index > 0 ? ", " : "",
    element("bdi", {}, escaped(name)),
  ]);
  const texts = {
    same: [
      element(
        "p",
        { class: "verdict good" },
        "✓ Where hidden directories can be walked, it goes the same way.",
      ),
    ],
    differs: [
      element(
        "p",
        { class: "verdict bad" },
        "✗ Where hidden directories can be walked, these outputs differ: ",
        ...outputs,
        ".",
      ),
    ],
    failed: [
      element("p", { class: "verdict bad" }, "✗ The build fails where hidden directories can be walked:"),
      element(
        "pre",
        {},
        String(deep.error ?? "")
          .split("\n")
          .map(escaped)
          .join("\n"),
      ),
    ],
    succeeded: [
      element("p", { class: "verdict bad" }, "✗ The build succeeds where hidden directories can be walked."),
    ],
  };
  return element("section", { id: "deep" }, ...(texts[deep.outcome] ?? []));
}

function section(id, title, note, ...children) {
  return element(
    "section",
    { id },
    element("h2", {}, title),
    note ? element("p", { class: "note" }, note) : null,
    ...children,
  );
}

function undeclaredSection(report) {
  const { undeclared = [], undeclaredIncomplete } = asked(report);
  if (undeclared.length === 0) return null;
  const groups = new Map();
  for (const { path, owner } of undeclared) {
    const text = ownerText(owner) ?? "Of no package";
    if (!groups.has(text)) groups.set(text, { text, owned: owner != null, paths: [] });
    groups.get(text).paths.push(shown(path));
  }
  const sorted = [...groups.values()].sort(
    (one, other) => other.owned - one.owned || other.paths.length - one.paths.length,
  );
  const list = element("div", { class: "groups" });
  let lines = 0;
  const more = appendBounded(list, sorted, GROUPS_AT_ONCE, ({ text, paths }) => {
    const summary = element(
      "summary",
      {},
      element("bdi", {}, text),
      " ",
      element("span", { class: "note" }, counted(paths.length, "path")),
    );
    lines += Math.min(paths.length, LINES_AT_ONCE);
    return element("details", { open: lines <= LINES_OPEN ? "" : null }, summary, ...pathList(paths, pathElement));
  });
  const note = `Paths that were asked for, that this machine has and the view does not show${undeclaredIncomplete ? "; there were more than are remembered" : ""}.`;
  return section("undeclared", "Undeclared", note, list, more);
}

function pathList(items, make) {
  const list = element("ul", { class: "paths" });
  return [list, appendBounded(list, items, LINES_AT_ONCE, (item) => element("li", {}, make(item)))];
}

function refusedSection({ refused = {}, written }) {
  const paths = (refused.paths ?? []).map(shown);
  if (paths.length === 0) return null;
  const changes = new Set((written?.refused.paths ?? []).map(shown));
  const line = (path) => {
    const after = changes.has(path) ? element("span", { class: "note" }, "to be made, changed or removed") : null;
    return element("span", { class: "line" }, pathElement(path), after);
  };
  const note = `Paths of the view that could not be reached or changed: read-only, or for others${refused.incomplete ? "; there were more than are remembered" : ""}.`;
  return section("refused", "Refused", note, ...pathList(paths, line));
}

function unusedSection(report) {
  const why = ({ direct, removable }) => {
    if (removable) return [badge("removable", "warn"), "the derivation could leave it out"];
    return direct ? ["named by the derivation, and needed otherwise"] : ["comes with another input"];
  };
  const known = new Map((report.unusedInputs ?? []).map((input) => [shown(input.path), why(input)]));
  const others = (report.entries ?? []).filter(isUnused).map((entry) => shown(entry.at));
  const all = [...known, ...others.filter((path) => !known.has(path)).map((path) => [path, []])];
  if (all.length === 0) return null;
  const failed = report.status === "failed";
  const note = `Shown, and neither read, listed nor found${failed ? ". The build failed, so nothing is said of what it could do without" : ""}.`;
  const line = ([path, texts]) => {
    const after = failed
      ? []
      : texts.map((text) => (typeof text === "string" ? element("span", { class: "note" }, text) : text));
    return element("span", { class: "line" }, pathElement(path), ...after);
  };
  return section("unused", "Not used", note, ...pathList(all, line));
}

function hostSection({ hostFiles = [], hostFilesLeftOut = 0 }) {
  if (hostFiles.length === 0) return null;
  const body = element("tbody");
  const row = ({ path, bytesRead, sha256 }) =>
    element(
      "tr",
      {},
      element("td", {}, pathElement(shown(path))),
      element("td", { class: "number" }, byteSize(bytesRead)),
      element(
        "td",
        {},
        sha256
          ? element("code", { class: "hash", title: escaped(sha256) }, escaped(sha256))
          : element("span", { class: "note" }, "none: gone, or too much"),
      ),
    );
  const more = appendBounded(body, hostFiles, LINES_AT_ONCE, row);
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "File"),
    element("th", { scope: "col", class: "number" }, "Bytes"),
    element("th", { scope: "col" }, "SHA-256 afterwards"),
  );
  const left = hostFilesLeftOut > 0 ? `; ${number(hostFilesLeftOut)} more are not listed` : "";
  const note = `Files that were read and that others may change${left}.`;
  return section(
    "host",
    "Read of the host",
    note,
    element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), body)),
    more,
  );
}

/** The places that something was written to. */
function writtenPlaces({ entries = [] }) {
  return entries.filter(({ bytesWritten }) => bytesWritten > 0);
}

function writtenSection(report) {
  const places = writtenPlaces(report).sort((one, other) => other.bytesWritten - one.bytesWritten);
  if (places.length === 0) return null;
  const files = report.written?.files ?? [];
  const there = places.reduce((total, { filesWritten }) => total + filesWritten, 0);
  const place = ({ at, filesWritten, bytesWritten }) => [
    pathElement(shown(at)),
    ...[number(filesWritten), byteSize(bytesWritten)],
  ];
  const file = ({ path, bytesWritten }) => [pathElement(shown(path)), byteSize(bytesWritten)];
  const left = there > files.length ? `; the ${number(files.length)} largest files are listed` : "";
  return section(
    "written",
    "Written",
    `Bytes that were written, those of files that were removed again too${left}.`,
    element(
      "div",
      { class: "beside" },
      listTable(["Place", "Files", "Bytes"], places, place),
      files.length > 0 ? listTable(["File", "Bytes"], files, file) : null,
    ),
  );
}

/** A table of as many items as are shown at once: a path, and numbers. */
function listTable(titles, items, cells) {
  const kind = (index) => (index > 0 ? { class: "number" } : {});
  const body = element("tbody");
  const row = (item) => element("tr", {}, ...cells(item).map((cell, index) => element("td", kind(index), cell)));
  const more = appendBounded(body, items, LINES_AT_ONCE, row);
  const heads = titles.map((title, index) => element("th", { scope: "col", ...kind(index) }, title));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: "scroll" }, table, more);
}

function trafficSection({ nfsCalls = {}, slowestCalls = [], seconds }) {
  const calls = Object.entries(nfsCalls).sort(([, one], [, other]) => other - one);
  if (calls.length === 0 && !seconds) return null;
  const bars = (rows, total, text) =>
    rows.map(([label, value]) => {
      const bar = element("span", { class: "bar" });
      bar.style.width = `${total > 0 ? (100 * value) / total : 0}%`;
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, escaped(label)),
        element("td", { class: "number" }, text(value)),
        element("td", { class: "bars" }, bar),
      );
    });
  const table = (caption, rows) =>
    element("table", { class: "traffic" }, element("caption", {}, caption), element("tbody", {}, ...rows));
  const phases = ["setup", "run", "teardown"].flatMap((phase) =>
    phase in (seconds ?? {}) ? [[phase, seconds[phase]]] : [],
  );
  const longest = (rows) => Math.max(0, ...rows.map(([, value]) => value));
  return section(
    "traffic",
    "Traffic",
    null,
    element(
      "div",
      { class: "beside" },
      calls.length > 0 ? table("NFS calls by procedure", bars(calls, longest(calls), number)) : null,
      phases.length > 0 ? table("Phases", bars(phases, longest(phases), duration)) : null,
    ),
    slowestCalls.length > 0 ? slowTable(slowestCalls) : null,
  );
}

function slowTable(calls) {
  const cells = ({ path, procedure, seconds }) => [pathElement(shown(path)), escaped(procedure), duration(seconds)];
  return listTable(["Slowest calls", "Procedure", "Time"], calls, cells);
}
