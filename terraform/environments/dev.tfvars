# A second, small stack. The account's own values are in dev.local.tfvars, as for production.
name                = "task-tracker-dev"
task_vcpus          = 0.25
log_retention_days  = 3
deletion_protection = false
