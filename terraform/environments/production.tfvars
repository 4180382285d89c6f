# What the repository decides. What an account decides (api_cidrs, grafana_cidrs, ...) is in
# production.local.tfvars, which is not committed, and in the variable SETTINGS of the GitHub environment.
name                = "task-tracker"
log_retention_days  = 90
deletion_protection = true
