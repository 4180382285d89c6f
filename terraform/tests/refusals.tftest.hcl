# Invalid inputs are refused at plan time.

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

run "refuses_malformed_values" {
  command = plan

  variables {
    name                   = "Task Tracker"
    api_image              = "example/api:latest"
    grafana_image          = "example/grafana:latest"
    prometheus_image       = "quay.io/prometheus/prometheus:v3.15.0"
    alertmanager_image     = "quay.io/prometheus/alertmanager:v0.34.1"
    node_exporter_image    = "quay.io/prometheus/node-exporter"
    alarm_email            = "operators"
    secrets_version        = 0
    task_memory_mib        = 512
    desired_count          = 1.5
    api_cidrs              = ["anyone"]
    grafana_cidrs          = ["office"]
    log_retention_days     = 10
    table_max_read_units   = 0
    table_max_write_units  = 1.5
    table_suffix           = "_restored"
    cursor_secret          = "short"
    grafana_admin_password = "admin"
    alert_webhook_url      = "http://alerts.example"
    watchdog_webhook_url   = "http://watchdog.example"
    board                  = "yes"
    docs                   = "yes"
    grafana_memory_mib     = 768
    runbook_url            = "https://wiki.example/runbook#apidown"
    rate_limit             = 0
    workspace_rate_limit   = 1.5
    cors_origins           = ["https://app.example.com/"]
  }

  expect_failures = [
    var.name,
    var.api_image,
    var.grafana_image,
    var.prometheus_image,
    var.alertmanager_image,
    var.node_exporter_image,
    var.alarm_email,
    var.secrets_version,
    var.task_memory_mib,
    var.desired_count,
    var.api_cidrs,
    var.grafana_cidrs,
    var.log_retention_days,
    var.table_max_read_units,
    var.table_max_write_units,
    var.table_suffix,
    var.cursor_secret,
    var.grafana_admin_password,
    var.alert_webhook_url,
    var.watchdog_webhook_url,
    var.board,
    var.docs,
    var.grafana_memory_mib,
    var.runbook_url,
    var.rate_limit,
    var.workspace_rate_limit,
    var.cors_origins,
  ]
}

run "refuses_access_for_everyone" {
  command = plan

  variables {
    api_cidrs     = ["0.0.0.0/0"]
    grafana_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [
    var.api_cidrs,
    var.grafana_cidrs,
  ]
}

run "refuses_unauthenticated_access_for_everyone" {
  command = plan

  variables {
    allow_plain_http    = true
    prometheus_cidrs    = ["0.0.0.0/0"]
    node_exporter_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [
    var.prometheus_cidrs,
    var.node_exporter_cidrs,
  ]
}

run "refuses_half_of_all_addresses" {
  command = plan

  variables {
    allow_plain_http    = true
    api_cidrs           = ["0.0.0.0/1", "128.0.0.0/1"]
    grafana_cidrs       = ["0.0.0.0/1", "128.0.0.0/1"]
    prometheus_cidrs    = ["0.0.0.0/1", "128.0.0.0/1"]
    node_exporter_cidrs = ["128.0.0.0/7"]
  }

  expect_failures = [
    var.api_cidrs,
    var.grafana_cidrs,
    var.prometheus_cidrs,
    var.node_exporter_cidrs,
  ]
}

run "refuses_half_of_all_addresses_behind_a_load_balancer" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    api_cidrs       = ["0.0.0.0/1", "128.0.0.0/1"]
  }

  expect_failures = [var.api_cidrs]
}

run "refuses_tls_without_a_certificate" {
  command = plan

  variables {
    tls_version     = 1
    tls_certificate = ""
    tls_key         = "-----BEGIN ENCRYPTED PRIVATE KEY-----"
  }

  expect_failures = [
    var.tls_certificate,
    var.tls_key,
  ]
}

run "refuses_tls_on_the_ecs_task_behind_a_load_balancer" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    tls_version     = 1
    tls_certificate = "-----BEGIN CERTIFICATE-----"
    tls_key         = "-----BEGIN PRIVATE KEY-----"
  }

  expect_failures = [var.tls_version]
}

run "refuses_several_ecs_tasks_with_sidecar_monitoring" {
  command = plan

  variables {
    desired_count = 2
  }

  expect_failures = [
    var.desired_count,
  ]
}

run "refuses_autoscaling_with_sidecar_monitoring" {
  command = plan

  variables {
    max_tasks = 3
  }

  expect_failures = [
    var.max_tasks,
  ]
}

run "refuses_amp_without_a_reader_of_its_alerts" {
  command = plan

  variables {
    monitoring_backend = "amp"
  }

  expect_failures = [var.alarm_email]
}

run "refuses_unsupported_choices" {
  command = plan

  variables {
    task_vcpus         = 3
    monitoring_backend = "influx"
  }

  expect_failures = [
    var.task_vcpus,
    var.monitoring_backend,
  ]
}

run "refuses_a_malformed_bootstrap_key" {
  command = plan

  variables {
    bootstrap_key_version = 1
    bootstrap_key         = "tt_secret"
  }

  expect_failures = [
    var.bootstrap_key,
  ]
}

run "refuses_a_missing_bootstrap_key" {
  command = plan

  variables {
    bootstrap_key_version = 1
  }

  expect_failures = [
    var.bootstrap_key,
  ]
}

run "refuses_a_fractional_version" {
  command = plan

  variables {
    bootstrap_key_version = 0.5
    tls_version           = 1.5
    tls_certificate       = "-----BEGIN CERTIFICATE-----"
    tls_key               = "-----BEGIN PRIVATE KEY-----"
    bootstrap_key         = "tt_00000000000000000000000000_0000000000000000000000000000000000000000000000000000000000000000_b330d6a1"
  }

  expect_failures = [
    var.bootstrap_key_version,
    var.tls_version,
  ]
}

run "refuses_a_vpc_without_subnets" {
  command = plan

  override_data {
    target = data.aws_subnets.this
    values = { ids = [] }
  }

  expect_failures = [data.aws_subnets.this]
}

run "refuses_malformed_values_that_others_refer_to" {
  command = plan

  variables {
    subnet_ids     = ["eu-central-1a"]
    max_tasks      = 0
    hosted_zone_id = "example.com"
  }

  expect_failures = [
    var.subnet_ids,
    var.max_tasks,
    var.hosted_zone_id,
  ]
}

run "refuses_a_malformed_region" {
  command = plan

  variables {
    region = "europe"
  }

  expect_failures = [var.region]
}

run "refuses_a_name_that_ends_in_a_dash" {
  command = plan

  variables {
    name = "task-"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_that_aws_reserves" {
  command = plan

  variables {
    name = "internal-tasks"
  }

  expect_failures = [var.name]
}

# What an unset variable of a shell or a workflow becomes.
run "refuses_empty_texts" {
  command = plan

  variables {
    certificate_arn     = ""
    vpc_id              = ""
    alarm_email         = ""
    prometheus_image    = ""
    node_exporter_image = ""
  }

  expect_failures = [
    var.certificate_arn,
    var.vpc_id,
    var.alarm_email,
    var.prometheus_image,
    var.node_exporter_image,
  ]
}

run "refuses_a_malformed_domain" {
  command = plan

  variables {
    domain_name    = "https://tracker.example.com"
    hosted_zone_id = "Z0123456789ABCDEFGHIJ"
  }

  expect_failures = [var.domain_name]
}

run "refuses_a_domain_without_its_zone" {
  command = plan

  variables {
    domain_name = "tracker.example.com"
  }

  expect_failures = [var.domain_name]
}

run "refuses_two_certificates" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    domain_name     = "tracker.example.com"
    hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
  }

  expect_failures = [var.domain_name]
}

run "refuses_what_is_in_another_region" {
  command = plan

  variables {
    api_image       = "123456789012.dkr.ecr.us-east-1.amazonaws.com/task-tracker/api@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    grafana_image   = "123456789012.dkr.ecr.us-east-1.amazonaws.com/task-tracker/grafana@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
  }

  expect_failures = [
    var.api_image,
    var.grafana_image,
    var.certificate_arn,
  ]
}

run "refuses_what_is_in_another_account" {
  command = plan

  variables {
    api_image       = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/task-tracker/api@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    grafana_image   = "ghcr.io/task-tracker/grafana@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    certificate_arn = "arn:aws:acm:eu-central-1:210987654321:certificate/1"
  }

  expect_failures = [
    var.api_image,
    var.grafana_image,
    var.certificate_arn,
  ]
}

run "refuses_a_certificate_of_iam" {
  command = plan

  variables {
    certificate_arn = "arn:aws:iam::123456789012:server-certificate/tracker"
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_a_vpc_of_its_own_without_its_public_subnets" {
  command = plan

  variables {
    vpc_id = "vpc-0123456789abcdef0"
  }

  expect_failures = [var.vpc_id]
}

run "refuses_subnets_of_another_vpc" {
  command = plan

  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [data.aws_subnets.this]
}

run "refuses_a_load_balancer_in_one_zone" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    vpc_id          = "vpc-0123456789abcdef0"
    subnet_ids      = ["subnet-0123456789abcdef0"]
  }

  override_data {
    target = data.aws_subnets.this
    values = { ids = ["subnet-0123456789abcdef0"] }
  }

  expect_failures = [aws_lb.api]
}

run "refuses_an_account_without_a_default_vpc" {
  command = plan

  override_data {
    target = data.aws_vpcs.default
    values = { ids = [] }
  }

  expect_failures = [data.aws_vpcs.default]
}

run "refuses_a_vpc_without_private_names" {
  command = plan

  override_data {
    target = data.aws_vpc.this
    values = { id = "vpc-1", enable_dns_support = true, enable_dns_hostnames = false }
  }

  expect_failures = [data.aws_vpc.this]
}

run "remembers_whose_state_it_is" {
  command = apply

  variables {
    bootstrap_key   = ""
    tls_certificate = ""
    tls_key         = ""
  }
}

run "refuses_another_environment_over_this_state" {
  command = plan

  variables {
    name = "task-tracker-dev"
  }

  expect_failures = [terraform_data.name]
}

run "refuses_a_budget_of_nothing" {
  command = plan

  variables {
    alarm_email        = "operators@example.com"
    monthly_budget_usd = 0
  }

  expect_failures = [var.monthly_budget_usd]
}

run "refuses_a_budget_without_an_address" {
  command = plan

  variables {
    monthly_budget_usd = 100
  }

  expect_failures = [var.monthly_budget_usd]
}
