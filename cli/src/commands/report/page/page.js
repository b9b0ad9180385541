// Shows the chosen report: its numbers, its sections and the tree of its paths.

/** Milliseconds without a key after which a search begins. */
const SEARCH_DELAY = 120;

function show(index) {
  const report = JSON.parse(document.querySelectorAll("script.data")[index].textContent);
  const rows = rowsOf(report);
  const input = element("input", {
    type: "search",
    id: "search",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "part of a path or package, is:undeclared …",
    "aria-describedby": "found",
  });
  const found = element("p", { id: "found", class: "note", role: "status" });
  const list = element("ul", { role: "tree", id: "tree", "aria-label": "Paths" });
  const narrow = () => {
    const query = input.value.trim();
    const matches = matching(rows, query);
    const tree = new Tree(list, new PathIndex(matches), query === "" ? OPENED_AT_FIRST : OPENED_BY_SEARCH);
    tree.onchange = () => {
      const more = matches.length - tree.shown;
      const of =
        query === "" ? counted(rows.length, "path") : `${number(matches.length)} of ${counted(rows.length, "path")}`;
      found.textContent = `${of}${more > 0 ? `, ${number(more)} more in what is closed` : ""}`;
    };
    tree.onchange();
  };
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(narrow, SEARCH_DELAY);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") list.querySelector("[tabindex='0']")?.focus();
  });
  const search = (query) => {
    input.value = query;
    narrow();
    input.focus({ preventScroll: true });
    document.getElementById("paths").scrollIntoView();
  };
  const words = ["", ...KINDS.map((kind) => `is:${kind.word}`), "is:removable"];
  const hints = words.map((word) =>
    element("button", { type: "button", class: "link", onclick: () => search(word) }, word || "all"),
  );
  const label = element("label", { for: "search" }, "Search");
  const tree = section(
    "paths",
    "All paths",
    null,
    element("div", { class: "search" }, label, input),
    element("p", { class: "hints" }, ...hints.flatMap((hint) => [hint, " "])),
    found,
    list,
  );
  const parts = [
    ...title(report),
    tiles(report, search),
    deepSection(report),
    undeclaredSection(report),
    refusedSection(report),
    unusedSection(report),
    hostSection(report),
    writtenSection(report),
    treemapSection(report, search),
    rows.length > 0 ? tree : null,
    trafficSection(report),
  ];
  document.getElementById("report").replaceChildren(...parts.filter((part) => part !== null));
  narrow();
}

/** What the report is of. */
function title({ derivation, command = [], status }) {
  if (!derivation) return [element("h1", { class: "command" }, element("bdi", {}, command.map(escaped).join(" ")))];
  const path = escaped(derivation);
  const built = status === "built";
  const state = status ? badge(`${built ? "✓" : "✗"} ${escaped(status)}`, built ? "good" : "bad") : null;
  return [
    element("h1", {}, element("bdi", {}, shortName(path).replace(/\.drv$/, "")), " ", state),
    element("p", { class: "note" }, pathElement(path)),
  ];
}

const choice = document.getElementById("choice");
choice?.addEventListener("change", () => show(choice.selectedIndex));
if (document.querySelector("script.data")) show(choice?.selectedIndex ?? 0);
else document.getElementById("report").textContent = "There is no report in this page: nothing was built.";
