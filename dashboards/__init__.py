"""The report: one HTML file that shows what was measured, to be read without a server or a network.

`report.render_report` turns a `report_data.ReportData` of plain values into the page. Nothing here
measures, prices or judges: numbers, verdicts and reasons arrive ready, and a missing one is shown with
its reason.
"""
