// Bytes read by entry: boxes whose areas are the bytes, and the same as a table.

/** Boxes at most: smaller ones could not be told apart. */
const BOXES_MAX = 60;
const TABLE_ROWS_AT_ONCE = 15;
/** What a box's name and size need, in pixels. */
const LABEL_WIDTH = 52;
const LABEL_HEIGHT = 34;

/** Rectangles of these areas, largest first, as square as may be (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000). */
function squarified(sizes, width, height) {
  const scale = (width * height) / sizes.reduce((sum, size) => sum + size, 0);
  const areas = sizes.map((size) => size * scale);
  const placed = [];
  let free = { x: 0, y: 0, width, height };
  for (let first = 0; first < areas.length;) {
    const side = Math.min(free.width, free.height);
    // The worst ratio of sides in a row that has this sum.
    const worst = (sum, largest, smallest) =>
      Math.max((side * side * largest) / (sum * sum), (sum * sum) / (side * side * smallest));
    let [end, sum] = [first + 1, areas[first]];
    while (
      end < areas.length &&
      worst(sum + areas[end], areas[first], areas[end]) <= worst(sum, areas[first], areas[end - 1])
    ) {
      sum += areas[end++];
    }
    const across = free.width >= free.height;
    const thickness = sum / side;
    let along = 0;
    for (; first < end; first++) {
      const length = areas[first] / thickness;
      placed.push(
        across
          ? { x: free.x, y: free.y + along, width: thickness, height: length }
          : { x: free.x + along, y: free.y, width: length, height: thickness },
      );
      along += length;
    }
    free = across
      ? { x: free.x + thickness, y: free.y, width: free.width - thickness, height: free.height }
      : { x: free.x, y: free.y + thickness, width: free.width, height: free.height - thickness };
  }
  return placed;
}

/** The last component of a path, without a store path's hash. */
function shortName(path) {
  const last = path.slice(path.lastIndexOf("/") + 1) || path;
  return last.replace(/^[0-9a-z]{32}-/, "");
}

/** A store path's name, or a whole path. */
function inputName(path) {
  return pathElement(STORE_PATH.test(path) ? shortName(path) : path);
}

/** Entries in the order of their bytes, unused ones last; a program's own places are not among them. */
function inputsOf(report) {
  const removable = new Set(
    (report.unusedInputs ?? []).filter((input) => input.removable).map(({ path }) => shown(path)),
  );
  const inputs = (report.entries ?? []).filter(({ kind }) => kind !== "scratch");
  const rows = inputs.map((entry) => ({ ...entry, path: shown(entry.at), removable: removable.has(shown(entry.at)) }));
  const rank = (row) => [row.used ? 0 : 1, -row.bytesRead];
  return rows.sort((one, other) => rank(one)[0] - rank(other)[0] || rank(one)[1] - rank(other)[1]);
}

/** The section; `search` shows a path in the tree. */
function treemapSection(report, search) {
  const inputs = inputsOf(report);
  if (inputs.length === 0) return null;
  const read = inputs.filter((input) => input.bytesRead > 0).sort((one, other) => other.bytesRead - one.bytesRead);
  return element(
    "section",
    { id: "bytes" },
    element("h2", {}, "Bytes read, by input"),
    element("div", { class: "beside" }, read.length > 0 ? treemap(read, search) : null, inputTable(inputs, search)),
  );
}

function treemap(read, search) {
  const boxes = read.slice(0, BOXES_MAX).map((input) => {
    const kind = ENTRY_KINDS[input.kind] ?? input.kind;
    const [size, count] = [byteSize(input.bytesRead), counted(input.filesRead, "file")];
    const text = [
      element("bdi", { dir: "ltr" }, shortName(input.path)),
      element("span", {}, input.kind === "fixed" ? size : `${size} · ${kind}`),
    ];
    const title = `${input.path}\n${size} of ${count}, ${kind}`;
    const box = element(
      "button",
      { type: "button", class: `box ${input.kind === "fixed" ? "" : "host"}`, title, "aria-label": title },
      ...text,
    );
    box.addEventListener("click", () => search(input.path));
    return { box, bytes: input.bytesRead };
  });
  const map = element(
    "div",
    { class: "treemap", role: "group", "aria-label": "Bytes read, by input" },
    ...boxes.map(({ box }) => box),
  );
  const place = () => {
    const { clientWidth, clientHeight } = map;
    if (clientWidth === 0) return;
    squarified(
      boxes.map(({ bytes }) => bytes),
      clientWidth,
      clientHeight,
    ).forEach(({ x, y, width, height }, index) => {
      const { box } = boxes[index];
      Object.assign(box.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
      box.classList.toggle("bare", width < LABEL_WIDTH || height < LABEL_HEIGHT);
    });
  };
  new ResizeObserver(place).observe(map);
  const others = read.slice(BOXES_MAX).reduce((sum, input) => sum + input.bytesRead, 0);
  const text = `The ${BOXES_MAX} largest of ${number(read.length)}; the others have ${byteSize(others)}.`;
  return element("div", {}, map, others > 0 ? element("p", { class: "note" }, text) : null);
}

function inputTable(inputs, search) {
  const body = element("tbody");
  const row = (input) =>
    element(
      "tr",
      {},
      element(
        "td",
        {},
        element(
          "button",
          { type: "button", class: "link", title: input.path, onclick: () => search(input.path) },
          inputName(input.path),
        ),
      ),
      element(
        "td",
        { class: "kind" },
        ENTRY_KINDS[input.kind] ?? input.kind,
        ...(input.used ? [] : [" ", badge("not used", "warn")]),
        ...(input.removable ? [" ", badge("removable", "warn")] : []),
      ),
      element("td", { class: "number" }, number(input.filesRead)),
      element("td", { class: "number" }, input.bytesRead > 0 ? byteSize(input.bytesRead) : "–"),
    );
  const more = appendBounded(body, inputs, TABLE_ROWS_AT_ONCE, row);
  const head = element(
    "tr",
    {},
    ...["Input", "Kind"].map((text) => element("th", { scope: "col" }, text)),
    ...["Files", "Bytes"].map((text) => element("th", { scope: "col", class: "number" }, text)),
  );
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), body), more);
}
