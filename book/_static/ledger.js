/* The claims ledger: filter by paper, verdict and who said it, and search within the rows. Without this script all rows show. */
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form.claim-filter");
  if (!form) return;
  const rows = [...document.querySelectorAll(".claim")];
  const texts = rows.map(row => row.textContent.toLowerCase());
  const headings = [...document.querySelectorAll("section")].filter(part => part.querySelector(".claim"));
  const count = form.querySelector("output");

  function filter() {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const classes = ["paper", "verdict", "said"].filter(name => form.elements[name].value)
      .map(name => `${name}-${form.elements[name].value}`);
    rows.forEach((row, i) => {
      row.hidden = !(classes.every(name => row.classList.contains(name)) && words.every(word => texts[i].includes(word)));
    });
    headings.forEach(part => { part.hidden = !part.querySelector(".claim:not([hidden])") && !part.contains(form); });
    count.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
  }

  function showAll() { form.reset(); filter(); }

  function show() {                        // a link to a row that the filter hides shows all rows
    const row = location.hash.startsWith("#claim-") && document.getElementById(location.hash.slice(1));
    if (row && row.closest("[hidden]")) { showAll(); row.scrollIntoView(); }
  }

  form.hidden = false;
  new URLSearchParams(location.search).forEach((value, name) => {
    if (name in form.elements && [...(form.elements[name].options || [])].some(option => option.value === value)) {
      form.elements[name].value = value;
    }
  });
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  window.addEventListener("hashchange", show);
  filter();
  show();
});
