"""ServiceNow's REST APIs: records of tables, attachments, access tokens. What a ticket is stands in
selfheal.tickets.servicenow.
"""
