"""What operators run beside the API: Prometheus, Grafana and the runbook."""

# Grafana's start.sh replaces it with the address of the deployment.
RUNBOOK = "monitoring/runbook.md"
