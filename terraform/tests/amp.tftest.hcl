# Several ECS tasks with Amazon Managed Service for Prometheus. A file of its own: the number of ECS tasks is
# set when the service is created.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region                 = "eu-central-1"
  api_image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/task-tracker/api@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  grafana_image          = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/task-tracker/grafana@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  api_cidrs              = ["203.0.113.7/32"]
  cursor_secret          = "a-cursor-secret-of-more-than-32-letters"
  grafana_admin_password = "a-password-of-more-than-16"
  alert_webhook_url      = ""
  watchdog_webhook_url   = ""
  # In tests, Terraform treats the default of an ephemeral variable as missing from the plan.
  bootstrap_key   = ""
  tls_certificate = ""
  tls_key         = ""
}

run "two_ecs_tasks" {
  command = apply

  variables {
    monitoring_backend = "amp"
    alarm_email        = "operators@example.com"
    runbook_url        = "https://wiki.example/runbook"
    desired_count      = 2
    max_tasks          = 4
  }

  assert {
    condition     = yamldecode(local.prometheus_config).global.external_labels.task == "$${TASK_ID}"
    error_message = "Series must carry the id of their ECS task."
  }

  assert {
    condition = yamldecode(local.prometheus_config).remote_write == [{
      url   = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
      sigv4 = { region = "eu-central-1" }

      write_relabel_configs = [{ source_labels = ["task"], target_label = "instance" }]
    }]
    error_message = "Series must be sent to the workspace, in signed requests."
  }

  assert {
    condition     = length(yamldecode(local.prometheus_config).rule_files) + length(aws_ssm_parameter.prometheus_rules) == 0
    error_message = "Only AMP must evaluate rules."
  }

  assert {
    condition     = local.prometheus_yml.alerting != null && !can(yamldecode(local.prometheus_config).alerting) && length(jsondecode(aws_ecs_task_definition.grafana.container_definitions)) == 1 && length(aws_service_discovery_service.alertmanager) + length(aws_vpc_security_group_ingress_rule.alertmanager_from_task) + length(aws_vpc_security_group_egress_rule.task_to_alertmanager) == 0
    error_message = "With AMP there must be no Alertmanager: the alerts come from AMP."
  }

  assert {
    condition     = alltrue([for rules in aws_prometheus_rule_group_namespace.this : !strcontains(rules.data, "externalLabels") && strcontains(rules.data, "https://wiki.example/runbook#")])
    error_message = "AMP's alerts must link to the runbook."
  }

  assert {
    condition     = toset(keys(aws_prometheus_rule_group_namespace.this)) == toset(["availability", "backlog", "growth", "latency", "saturation", "slow_burn", "store", "targets"])
    error_message = "AMP must have all rules, those for long windows included, but not those about the sidecar."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.task.policy, "aps:RemoteWrite")
    error_message = "The task role must allow remote write."
  }

  assert {
    condition     = contains(local.grafana.environment, { name = "PROMETHEUS_URL", value = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1" }) && contains(local.grafana.environment, { name = "GF_PATHS_PROVISIONING", value = "/etc/grafana/provisioning-amp" })
    error_message = "Grafana must query AMP, through its plugin."
  }

  assert {
    condition     = aws_ecs_task_definition.grafana.task_role_arn == aws_iam_role.grafana[0].arn
    error_message = "Grafana's ECS task must have the role that can query."
  }

  assert {
    condition     = aws_ecs_service.task.desired_count == 2 && aws_cloudwatch_metric_alarm.not_running["task"].threshold == 2
    error_message = "Two ECS tasks must run, and an alarm must tell when one is missing."
  }

  assert {
    condition     = aws_appautoscaling_target.task[0].max_capacity == 4
    error_message = "Autoscaling must be limited by max_tasks."
  }
}

run "refuses_a_number_of_ecs_tasks_that_would_not_run" {
  command = plan

  variables {
    monitoring_backend = "amp"
    alarm_email        = "operators@example.com"
    desired_count      = 3
  }

  expect_failures = [aws_ecs_service.task]
}

run "refuses_one_sidecar_while_two_ecs_tasks_run" {
  command = plan

  variables {
    alert_webhook_url    = "https://alerts.example/x"
    watchdog_webhook_url = "https://watchdog.example/x"
  }

  expect_failures = [aws_ecs_service.task]
}
