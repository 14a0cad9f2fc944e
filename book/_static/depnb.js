/* A page opened as a file may not fetch another: search then lists titles without excerpts. */
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

/* In tables that code made, columns of text stand on the left, with their headings; columns of numbers on the right. */
document.addEventListener("DOMContentLoaded", () => {
  const number = /^(about |below )?[(<≈]?[-+−–]?\.?\d|^[-–]?$|^nan$/i;
  document.querySelectorAll(".cell_output table:not(.told *)").forEach(table => {
    const rows = [...table.rows];
    if (rows.some(row => [...row.cells].some(cell => cell.colSpan > 1 || cell.rowSpan > 1))) return;
    const body = rows.filter(row => row.parentElement.tagName === "TBODY");
    for (let i = 0; i < Math.max(...rows.map(row => row.cells.length)); i++) {
      if (body.some(row => row.cells[i] && !number.test(row.cells[i].textContent.trim()))) {
        rows.forEach(row => row.cells[i] && row.cells[i].classList.add("text"));
      }
    }
  });
});
