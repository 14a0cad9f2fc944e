/* A page opened as a file may not fetch another: search then lists titles without excerpts. */
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";
