# What the variables make of the stack.

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
  alert_webhook_url      = "https://alerts.example/x"
  watchdog_webhook_url   = "https://watchdog.example/x"
  # A test takes a default of an ephemeral variable for a value that was not there when it planned.
  bootstrap_key = ""
}

run "closed_by_default" {
  command = apply

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.prometheus) + length(aws_vpc_security_group_ingress_rule.node_exporter) + length(aws_vpc_security_group_ingress_rule.grafana) == 0
    error_message = "9090, 9100 and 3000 are open to nobody unless somebody is named."
  }

  assert {
    condition     = aws_ecs_service.task.deployment_circuit_breaker[0].rollback
    error_message = "A deployment that fails is rolled back."
  }

  assert {
    condition     = local.prometheus_config == file("../monitoring/prometheus/prometheus.yml")
    error_message = "The sidecar's configuration is the file, byte for byte."
  }

  assert {
    condition     = local.node_exporter.command[0] == "--web.listen-address=127.0.0.1:9100"
    error_message = "node-exporter listens on localhost."
  }

  assert {
    condition     = length(aws_ssm_parameter.bootstrap_key) == 0 && join(" ", local.api.secrets[*].name) == "CURSOR_SECRET"
    error_message = "There is no bootstrap key unless one is asked for."
  }

  assert {
    condition     = length(aws_lb.api) + length(aws_appautoscaling_target.task) + length(aws_prometheus_workspace.this) == 0
    error_message = "Options are off."
  }
}

run "a_bootstrap_key_while_it_is_wanted" {
  command = apply

  variables {
    bootstrap_key_version = 1
    bootstrap_key         = "tt_00000000000000000000000000_0000000000000000000000000000000000000000000000000000000000000000_b330d6a1"
  }

  assert {
    condition     = join(" ", local.api.secrets[*].name) == "CURSOR_SECRET BOOTSTRAP_KEY"
    error_message = "It reaches the API by the parameter store."
  }

  assert {
    condition     = aws_ssm_parameter.bootstrap_key[0].type == "SecureString" && contains(local.injected, aws_ssm_parameter.bootstrap_key[0].arn)
    error_message = "It is encrypted, and the execution role may read it."
  }
}

run "node_exporter_listens_where_it_is_asked" {
  command = apply

  variables {
    node_exporter_cidrs = ["203.0.113.7/32"]
  }

  assert {
    condition     = local.node_exporter.command[0] == "--web.listen-address=:9100"
    error_message = "A port that is open to somebody has somebody who answers."
  }
}

run "amp_sees_every_task" {
  command = apply

  variables {
    monitoring_backend = "amp"
    desired_count      = 2
    most_tasks         = 4
  }

  assert {
    condition     = yamldecode(local.prometheus_config).global.external_labels.task == "$${TASK_ID}"
    error_message = "Each task's series have a label of their own."
  }

  assert {
    condition     = yamldecode(local.prometheus_config).remote_write[0].sigv4.region == "eu-central-1"
    error_message = "Series are sent, and signed."
  }

  assert {
    condition     = endswith(yamldecode(local.prometheus_config).remote_write[0].url, "/workspaces/ws-1/api/v1/remote_write")
    error_message = "To the workspace."
  }

  assert {
    condition     = length(yamldecode(local.prometheus_config).rule_files) == 0
    error_message = "Rules are evaluated once, by AMP."
  }

  assert {
    condition     = toset(keys(aws_prometheus_rule_group_namespace.this)) == toset(["availability", "latency", "saturation", "slow_burn", "store", "targets"])
    error_message = "The full set of burn rates."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.task.policy, "aps:RemoteWrite")
    error_message = "The task may send."
  }

  assert {
    condition     = aws_appautoscaling_target.task[0].max_capacity == 4
    error_message = "CPU brings more tasks."
  }
}

run "https_goes_through_the_load_balancer_alone" {
  command = apply

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    api_cidrs       = ["0.0.0.0/0"]
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.api) == 0
    error_message = "Nobody reaches port 8000 past it."
  }

  assert {
    condition     = aws_lb_listener.https[0].protocol == "HTTPS" && aws_vpc_security_group_ingress_rule.https["0.0.0.0/0"].from_port == 443
    error_message = "It answers HTTPS."
  }

  assert {
    condition     = contains(local.api.environment, { name = "TRUSTED_HOPS", value = "1" })
    error_message = "It is believed about whom it speaks for."
  }

  assert {
    condition     = tolist(aws_ecs_service.task.load_balancer)[0].container_port == 8000
    error_message = "It asks the API."
  }
}

run "plain_http_for_everybody_if_it_is_said" {
  command = apply

  variables {
    api_cidrs        = ["0.0.0.0/0"]
    allow_plain_http = true
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.api["0.0.0.0/0"].from_port == 8000
    error_message = "Who says so is let."
  }
}
