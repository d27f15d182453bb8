"""Pages for people who were not there: what a run did and how good the data is, and what a month was like. What is said
(`*_report.py`: facts; `*_sheet.py`: words and tables) is apart from how it looks (`html.py`).
"""
