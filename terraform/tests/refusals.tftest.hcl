# What a deployment may not say.

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
}

run "refuses_a_name_that_aws_would_not_take" {
  command = plan

  variables {
    name = "Task Tracker"
  }

  expect_failures = [var.name]
}

run "refuses_a_region_that_is_none" {
  command = plan

  variables {
    region = "europe"
  }

  expect_failures = [var.region]
}

run "refuses_an_image_by_tag" {
  command = plan

  variables {
    api_image = "example/api:latest"
  }

  expect_failures = [var.api_image]
}

run "refuses_a_grafana_by_tag" {
  command = plan

  variables {
    grafana_image = "example/grafana:latest"
  }

  expect_failures = [var.grafana_image]
}

run "refuses_cpus_that_fargate_has_not" {
  command = plan

  variables {
    task_vcpus = 3
  }

  expect_failures = [var.task_vcpus]
}

run "refuses_memory_that_does_not_go_with_the_cpus" {
  command = plan

  variables {
    task_memory_mib = 512
  }

  expect_failures = [var.task_memory_mib]
}

run "refuses_half_a_task" {
  command = plan

  variables {
    desired_count = 1.5
  }

  expect_failures = [var.desired_count]
}

run "refuses_two_tasks_with_a_sidecars_prometheus" {
  command = plan

  variables {
    desired_count = 2
  }

  expect_failures = [var.desired_count]
}

run "refuses_autoscaling_with_a_sidecars_prometheus" {
  command = plan

  variables {
    most_tasks = 3
  }

  expect_failures = [var.most_tasks]
}

run "refuses_networks_that_are_none" {
  command = plan

  variables {
    api_cidrs = ["everybody"]
  }

  expect_failures = [var.api_cidrs]
}

run "refuses_plain_http_for_everybody" {
  command = plan

  variables {
    api_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.api_cidrs]
}

run "refuses_grafana_over_plain_http_for_everybody" {
  command = plan

  variables {
    grafana_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.grafana_cidrs]
}

run "refuses_a_grafana_network_that_is_none" {
  command = plan

  variables {
    grafana_cidrs = ["office"]
  }

  expect_failures = [var.grafana_cidrs]
}

run "refuses_prometheus_for_everybody" {
  command = plan

  variables {
    prometheus_cidrs = ["0.0.0.0/0"]
    allow_plain_http = true
  }

  expect_failures = [var.prometheus_cidrs]
}

run "refuses_node_exporter_for_everybody" {
  command = plan

  variables {
    node_exporter_cidrs = ["0.0.0.0/0"]
    allow_plain_http    = true
  }

  expect_failures = [var.node_exporter_cidrs]
}

run "refuses_a_backend_that_is_none" {
  command = plan

  variables {
    monitoring_backend = "influx"
  }

  expect_failures = [var.monitoring_backend]
}

run "refuses_days_that_cloudwatch_has_not" {
  command = plan

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "refuses_a_short_cursor_secret" {
  command = plan

  variables {
    cursor_secret = "short"
  }

  expect_failures = [var.cursor_secret]
}

run "refuses_a_bootstrap_key_that_is_none" {
  command = plan

  variables {
    bootstrap_key_version = 1
    bootstrap_key         = "tt_secret"
  }

  expect_failures = [var.bootstrap_key]
}

run "refuses_to_bootstrap_without_a_key" {
  command = plan

  variables {
    bootstrap_key_version = 1
  }

  expect_failures = [var.bootstrap_key]
}

run "refuses_half_a_version" {
  command = plan

  variables {
    bootstrap_key_version = 0.5
    bootstrap_key         = "tt_00000000000000000000000000_0000000000000000000000000000000000000000000000000000000000000000_b330d6a1"
  }

  expect_failures = [var.bootstrap_key_version]
}

run "refuses_a_short_password" {
  command = plan

  variables {
    grafana_admin_password = "admin"
  }

  expect_failures = [var.grafana_admin_password]
}

run "refuses_alerts_over_plain_http" {
  command = plan

  variables {
    alert_webhook_url = "http://alerts.example"
  }

  expect_failures = [var.alert_webhook_url]
}

run "refuses_a_watchdog_over_plain_http" {
  command = plan

  variables {
    watchdog_webhook_url = "http://watchdog.example"
  }

  expect_failures = [var.watchdog_webhook_url]
}

run "refuses_a_vpc_without_subnets" {
  command = plan

  override_data {
    target = data.aws_subnets.this
    values = { ids = [] }
  }

  expect_failures = [data.aws_subnets.this]
}
