"""The result of a solve to be looked at and played with: one web page, and its small form for notebooks.

In: pictures and maps. Out: HTML that needs no network. page.py makes it; result.html.jinja, result.css and result.js
are the page; vendor/ holds what it uses of npm.
"""
