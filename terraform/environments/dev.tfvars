name                      = "task-tracker-dev"
api_cidrs                 = []
grafana_cidrs             = []
task_vcpus                = 0.25
log_retention_days        = 3
table_deletion_protection = false
