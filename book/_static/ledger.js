/* The claims ledger: filter by paper, verdict, who said it and whose code it is, and search claims, sources and details.
   The address holds the filter. Without this script all rows show. */
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form.claim-filter");
  if (!form) return;
  const plain = text => text.toLowerCase().replace(/[‘’]/g, "'").replace(/[“”]/g, '"');
  const rows = [...document.querySelectorAll(".claim")];
  const texts = rows.map(row => plain([...row.querySelectorAll(":scope > p")].slice(0, 3).map(p => p.textContent).join(" ")));
  const headings = [...document.querySelectorAll("section")].filter(part => part.querySelector(".claim") && !part.contains(form));
  const fields = [...form.elements].filter(field => field.name);
  const count = form.querySelector("output"), none = document.querySelector(".claim-none");

  function filter() {
    const chosen = fields.filter(field => field.value.trim());
    const words = (plain(form.elements.words.value).match(/"[^"]+"|[^\s"]+/g) || []).map(word => word.replaceAll('"', ""));
    const classes = chosen.filter(field => field.options).map(field => `${field.name}-${field.value}`);
    rows.forEach((row, i) => {
      row.hidden = !(classes.every(name => row.classList.contains(name)) && words.every(word => texts[i].includes(word)));
    });
    headings.forEach(part => { part.hidden = !part.querySelector(".claim:not([hidden])"); });
    const left = rows.filter(row => !row.hidden).length;
    count.value = `${left} of ${rows.length} rows`;
    none.hidden = left > 0;
    const address = new URL(location);
    address.search = new URLSearchParams(chosen.map(field => [field.name, field.value.trim()]));
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  }

  function follow() {                      // the address says what is chosen: at first, after Back, with a link from elsewhere
    const asked = new URLSearchParams(location.search);
    fields.forEach(field => {
      const value = asked.get(field.name) || "";
      field.value = !field.options || [...field.options].some(option => option.value === value) ? value : "";
    });
    filter();
  }

  function show() {                        // a link to what the filter hides shows all rows
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      form.reset();
      filter();
      target.scrollIntoView();
    }
  }

  form.hidden = false;
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  document.addEventListener("click", event => { if (event.target.closest('a[href^="#"]')) setTimeout(show); });
  window.addEventListener("hashchange", show);
  window.addEventListener("popstate", () => { follow(); show(); });
  window.addEventListener("pageshow", () => { follow(); show(); });
  follow();
  show();
});
