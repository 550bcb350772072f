"""Write what an archive holds for readers without exptrack: so far as one static page, the report.

Begin with `report`. It reads by `report_contents`, which asks the public API alone, and draws by `report_page`.
"""
