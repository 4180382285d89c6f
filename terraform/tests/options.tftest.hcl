# The effect of each option on the stack.

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
  # In tests, Terraform treats the default of an ephemeral variable as missing from the plan.
  bootstrap_key   = ""
  tls_certificate = ""
  tls_key         = ""
}

run "closed_by_default" {
  command = apply

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.prometheus) + length(aws_vpc_security_group_ingress_rule.node_exporter) + length(aws_vpc_security_group_ingress_rule.grafana) == 0
    error_message = "By default, ports 9090, 9100 and 3000 are closed to all networks."
  }

  assert {
    condition     = aws_ecs_service.task.deployment_circuit_breaker[0].rollback
    error_message = "ECS must roll back a failed deployment."
  }

  assert {
    condition     = aws_ecs_service.task.alarms[0].rollback && aws_ecs_service.task.alarms[0].enable && aws_ecs_service.task.alarms[0].alarm_names == toset(["task-tracker-deployment-failed", "task-tracker-deployment-slow"])
    error_message = "ECS must roll back a deployment that fails or delays requests."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.deployment : alarm.treat_missing_data == "notBreaching"])
    error_message = "No requests must not roll a deployment back."
  }

  assert {
    condition     = !aws_ecs_service.task.enable_execute_command && local.api.readonlyRootFilesystem && !strcontains(aws_iam_role_policy.task.policy, "ssmmessages")
    error_message = "By default, there must be no way into the containers."
  }

  assert {
    condition     = length(aws_budgets_budget.month) + length(module.tasks_table.on_demand_throughput) == 0
    error_message = "By default, there must be no budget and no maximum of request units."
  }

  assert {
    condition     = length(aws_ssm_parameter.bootstrap_key) == 0 && join(" ", local.api.secrets[*].name) == "CURSOR_SECRET"
    error_message = "By default, there must be no bootstrap key."
  }

  assert {
    condition     = contains(local.api.environment, { name = "TRUSTED_HOPS", value = "0" })
    error_message = "Without a load balancer, the API must ignore X-Forwarded-For."
  }

  assert {
    condition     = yamldecode(local.prometheus_config).scrape_configs[0].scheme == "http"
    error_message = "Without TLS, Prometheus must scrape the API over HTTP."
  }

  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.grafana.container_definitions) : container.name] == ["grafana", "alertmanager"] && contains(local.prometheus.environment, { name = "ALERTMANAGER", value = "alertmanager.task-tracker.internal:9093" })
    error_message = "Prometheus must send alerts to the Alertmanager beside Grafana."
  }

  assert {
    condition     = aws_ecs_task_definition.grafana.memory == "1024" && local.grafana.memory + local.alertmanager.memory == 1024
    error_message = "Grafana and Alertmanager must share 1 GiB."
  }

  assert {
    condition     = length(aws_lb.api) + length(aws_vpc_endpoint.dynamodb) + length(aws_appautoscaling_target.task) + length(aws_prometheus_workspace.this) + length(aws_iam_role.grafana) + length(aws_cloudwatch_metric_alarm.amp) == 0
    error_message = "By default, load balancer, endpoint, autoscaling and AMP must be off."
  }

  assert {
    condition     = contains(local.grafana.environment, { name = "PROMETHEUS_URL", value = "http://task.task-tracker.internal:9090" }) && contains(keys(aws_ssm_parameter.prometheus_rules), "sidecar")
    error_message = "Grafana must query the sidecar, which evaluates its rules."
  }
}

run "bootstrap_key" {
  command = apply

  variables {
    bootstrap_key_version = 1
    bootstrap_key         = "tt_00000000000000000000000000_0000000000000000000000000000000000000000000000000000000000000000_b330d6a1"
  }

  assert {
    condition     = join(" ", local.api.secrets[*].name) == "CURSOR_SECRET BOOTSTRAP_KEY"
    error_message = "The API must receive the bootstrap key from the parameter store."
  }

  assert {
    condition     = aws_ssm_parameter.bootstrap_key[0].type == "SecureString" && contains(local.injected_parameters, aws_ssm_parameter.bootstrap_key[0].arn)
    error_message = "The parameter must be encrypted and readable by the execution role."
  }
}

run "shells_in_containers" {
  command = apply

  variables {
    execute_command = true
  }

  assert {
    condition     = aws_ecs_service.task.enable_execute_command && !local.api.readonlyRootFilesystem && strcontains(aws_iam_role_policy.task.policy, "ssmmessages:OpenDataChannel")
    error_message = "ECS Exec needs the flag, a writable container and four permissions."
  }
}

run "limits_of_the_bill" {
  command = apply

  variables {
    alarm_email           = "operators@example.com"
    monthly_budget_usd    = 100
    table_max_read_units  = 500
    table_max_write_units = 200
  }

  assert {
    condition     = aws_budgets_budget.month[0].limit_amount == "100" && toset([for each in aws_budgets_budget.month[0].notification : "${each.notification_type} ${each.threshold} ${join(" ", each.subscriber_email_addresses)}"]) == toset(["ACTUAL 80 operators@example.com", "FORECASTED 100 operators@example.com"])
    error_message = "A message must come before the bill exceeds the budget."
  }

  assert {
    condition     = module.tasks_table.on_demand_throughput[0].max_read_request_units == 500 && module.tasks_table.on_demand_throughput[0].max_write_request_units == 200
    error_message = "The table must have the maximum."
  }

  assert {
    condition     = alltrue([for read_units in module.tasks_table.index_max_read_units : read_units == 500])
    error_message = "Lists read from the indexes, which must have the maximum, too."
  }
}

run "a_restored_table" {
  command = apply

  variables {
    table_suffix = "-20270131"
  }

  assert {
    condition     = contains(local.api.environment, { name = "TABLE_NAME", value = "task-tracker-tasks-20270131" })
    error_message = "The API must use the table of that name."
  }
}

run "settings_of_the_api" {
  command = apply

  variables {
    board                = "off"
    docs                 = "off"
    rate_limit           = 20
    workspace_rate_limit = 60
    cors_origins         = ["https://app.example.com", "http://localhost:5173"]
  }

  assert {
    condition = toset([for each in local.api.environment : "${each.name}=${each.value}"
      if contains(["BOARD", "CORS_ORIGINS", "DOCS", "RATE_LIMIT", "WORKSPACE_RATE_LIMIT"], each.name)]) == toset([
      "BOARD=off",
      "CORS_ORIGINS=https://app.example.com http://localhost:5173",
      "DOCS=off",
      "RATE_LIMIT=20",
      "WORKSPACE_RATE_LIMIT=60",
    ])
    error_message = "The API's container must have the settings."
  }
}

run "tls_on_the_ecs_task" {
  command = apply

  variables {
    api_cidrs       = ["0.0.0.0/0"]
    tls_version     = 1
    tls_certificate = "-----BEGIN CERTIFICATE-----"
    tls_key         = "-----BEGIN EC PRIVATE KEY-----"
  }

  assert {
    condition     = join(" ", local.api.secrets[*].name) == "CURSOR_SECRET TLS_CERTIFICATE TLS_KEY"
    error_message = "The API must receive certificate and key from the parameter store."
  }

  assert {
    condition     = alltrue([for each in aws_ssm_parameter.tls : each.type == "SecureString" && contains(local.injected_parameters, each.arn)])
    error_message = "The parameters must be encrypted and readable by the execution role."
  }

  assert {
    condition     = yamldecode(local.prometheus_config).scrape_configs[0].scheme == "https" && yamldecode(local.prometheus_config).scrape_configs[0].tls_config.insecure_skip_verify
    error_message = "Prometheus must scrape localhost over TLS, whose certificate is for another name."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.api["0.0.0.0/0"].from_port == 8000 && length(aws_lb.api) == 0
    error_message = "With TLS on the ECS task, 0.0.0.0/0 needs neither allow_plain_http nor a load balancer."
  }

  assert {
    condition     = startswith(output.api, "https on port 8000")
    error_message = "The output must name the scheme."
  }
}

run "tls_with_amp" {
  command = apply

  variables {
    monitoring_backend = "amp"
    alarm_email        = "operators@example.com"
    tls_version        = 1
    tls_certificate    = "-----BEGIN CERTIFICATE-----"
    tls_key            = "-----BEGIN PRIVATE KEY-----"
  }

  assert {
    condition     = yamldecode(local.prometheus_config).scrape_configs[0].scheme == "https"
    error_message = "Prometheus must scrape the API over TLS."
  }
}

run "node_exporter_cidrs" {
  command = apply

  variables {
    node_exporter_cidrs = ["203.0.113.7/32"]
  }

  assert {
    condition     = local.node_exporter.command[0] == "--web.listen-address=:9100"
    error_message = "node-exporter must listen on all addresses when a network can reach it."
  }
}

run "https_through_the_load_balancer" {
  command = apply

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    api_cidrs       = ["0.0.0.0/0"]
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.api) == 0
    error_message = "Port 8000 must be closed to all networks."
  }

  assert {
    condition     = aws_lb_listener.https[0].protocol == "HTTPS" && aws_vpc_security_group_ingress_rule.https["0.0.0.0/0"].from_port == 443
    error_message = "The load balancer must serve HTTPS on port 443."
  }

  assert {
    condition     = aws_lb_listener.https[0].routing_http_response_strict_transport_security_header_value == "max-age=31536000"
    error_message = "Browsers must be told to use HTTPS only; the API itself sees plain HTTP."
  }

  assert {
    condition     = contains(local.api.environment, { name = "TRUSTED_HOPS", value = "1" })
    error_message = "The API must trust one proxy."
  }

  assert {
    condition     = tolist(aws_ecs_service.task.load_balancer)[0].container_port == 8000
    error_message = "The load balancer must forward to port 8000."
  }

  assert {
    condition     = aws_lb.api[0].enable_deletion_protection
    error_message = "The load balancer must be protected, as the table is."
  }

  assert {
    condition     = aws_lb.api[0].access_logs[0].enabled && aws_lb.api[0].access_logs[0].bucket == "task-tracker-load-balancer-logs-123456789012"
    error_message = "The load balancer must write access logs into the bootstrap's bucket."
  }
}

run "https_under_a_domain_name" {
  command = apply

  variables {
    domain_name    = "tracker.example.com"
    hosted_zone_id = "Z0123456789ABCDEFGHIJ"
    api_cidrs      = ["0.0.0.0/0"]
  }

  assert {
    condition     = aws_route53_record.validation[0].name == "_1.tracker.example.com" && aws_route53_record.validation[0].records == toset(["_2.acm-validations.aws"])
    error_message = "The record must prove to AWS whose the name is."
  }

  assert {
    condition     = aws_lb_listener.https[0].certificate_arn == aws_acm_certificate_validation.this[0].certificate_arn
    error_message = "The load balancer must wait for the certificate and serve it."
  }

  assert {
    condition     = aws_route53_record.api[0].name == "tracker.example.com" && one(aws_route53_record.api[0].alias).name == aws_lb.api[0].dns_name
    error_message = "The name must lead to the load balancer."
  }

  assert {
    condition     = aws_lb_listener.redirect[0].default_action[0].redirect[0].protocol == "HTTPS" && length(aws_vpc_security_group_ingress_rule.api) == 0
    error_message = "Port 80 must only redirect, and port 8000 must be closed."
  }

  assert {
    condition     = output.api == "https://tracker.example.com"
    error_message = "The output must be the address."
  }
}

run "dynamodb_endpoint" {
  command = apply

  variables {
    dynamodb_endpoint = true
  }

  override_data {
    target = data.aws_route_tables.this
    values = { ids = ["rtb-1"] }
  }

  assert {
    condition     = aws_vpc_endpoint.dynamodb[0].service_name == "com.amazonaws.eu-central-1.dynamodb" && aws_vpc_endpoint.dynamodb[0].route_table_ids == toset(["rtb-1"])
    error_message = "The routes of the VPC must lead to DynamoDB."
  }
}

run "without_deletion_protection" {
  command = apply

  variables {
    certificate_arn     = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    deletion_protection = false
  }

  assert {
    condition     = !aws_lb.api[0].enable_deletion_protection
    error_message = "One variable must make table and load balancer deletable."
  }
}

run "a_vpc_of_its_own" {
  command = apply

  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  override_data {
    target = data.aws_subnets.this
    values = { ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"] }
  }

  assert {
    condition     = aws_ecs_service.task.network_configuration[0].subnets == toset(["subnet-0123456789abcdef0"]) && length(data.aws_vpcs.default) == 0
    error_message = "ECS tasks must run in the given subnets only."
  }
}

run "allow_plain_http" {
  command = apply

  variables {
    api_cidrs        = ["0.0.0.0/0"]
    allow_plain_http = true
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.api["0.0.0.0/0"].from_port == 8000
    error_message = "allow_plain_http must permit 0.0.0.0/0."
  }
}
