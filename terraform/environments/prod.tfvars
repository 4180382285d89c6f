# Closed until you say who may come in: api_cidrs and grafana_cidrs, or certificate_arn with api_cidrs.
name                      = "task-tracker"
api_cidrs                 = []
grafana_cidrs             = []
log_retention_days        = 90
table_deletion_protection = true
