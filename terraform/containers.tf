# The three containers of the ECS task. They share a network namespace, so they reach each other on
# localhost.

locals {
  prometheus_memory_mib    = 384
  node_exporter_memory_mib = 64
  node_exporter_flags      = split("\n", trimspace(file("${path.module}/../monitoring/node-exporter/flags")))

  # Settings of every container. Each also sets a memory limit: without one, programs size themselves
  # by the memory of the virtual machine, which is larger than the ECS task.
  container = {
    # ECS Exec writes its own files into the container.
    readonlyRootFilesystem = !var.execute_command
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
  }
  # ECS restarts a crashed sidecar and keeps the API running.
  sidecar = {
    essential     = false
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
  }

  api = merge(local.container, {
    name         = "api"
    image        = var.api_image
    essential    = true
    user         = "10001:10001"
    memory       = var.task_memory_mib - local.prometheus_memory_mib - local.node_exporter_memory_mib
    portMappings = [{ containerPort = 8000, hostPort = 8000, protocol = "tcp" }]
    environment = [
      { name = "AWS_REGION", value = var.region },
      { name = "BOARD", value = var.board },
      # Empty is the same as not set.
      { name = "CORS_ORIGINS", value = join(" ", var.cors_origins) },
      { name = "DOCS", value = var.docs },
      { name = "LOG_FORMAT", value = "json" },
      { name = "RATE_LIMIT", value = tostring(var.rate_limit) },
      # Secrets are read only at start. A new version starts a new ECS task.
      { name = "SECRETS_VERSION", value = "${var.secrets_version}.${var.bootstrap_key_version}.${var.tls_version}" },
      { name = "TABLE_NAME", value = module.tasks_table.name },
      { name = "TASK_MEMORY_MIB", value = tostring(var.task_memory_mib) },
      { name = "TASK_VCPUS", value = tostring(var.task_vcpus) },
      # Trust X-Forwarded-For only behind the load balancer.
      { name = "TRUSTED_HOPS", value = tostring(local.load_balancers) },
      { name = "WORKSPACE_RATE_LIMIT", value = tostring(var.workspace_rate_limit) },
    ]
    secrets = concat(
      [{ name = "CURSOR_SECRET", valueFrom = aws_ssm_parameter.cursor_secret.arn }],
      [
        for parameter in aws_ssm_parameter.bootstrap_key :
        { name = "BOOTSTRAP_KEY", valueFrom = parameter.arn }
      ],
      # The container has no writable directory for files.
      [for name, parameter in aws_ssm_parameter.tls : { name = "TLS_${upper(name)}", valueFrom = parameter.arn }],
    )
    healthCheck = {
      command     = ["CMD", "python", "-m", "api.healthcheck"]
      interval    = 15
      timeout     = 3
      retries     = 3
      startPeriod = 20
    }
    # ECS stops containers in reverse order, so Prometheus can scrape the API's last requests.
    dependsOn = [{ containerName = "prometheus", condition = "START" }]
    # Longer than uvicorn's 20 s for a graceful stop.
    stopTimeout      = 30
    logConfiguration = local.logs["api"]
  })

  node_exporter = merge(local.container, local.sidecar, {
    name   = "node-exporter"
    image  = var.node_exporter_image
    user   = "65534"
    memory = local.node_exporter_memory_mib
    command = length(var.node_exporter_cidrs) == 0 ? local.node_exporter_flags : [
      for flag in local.node_exporter_flags : replace(flag, "127.0.0.1:9100", ":9100")
    ]
    environment = [{ name = "GOMEMLIMIT", value = "48MiB" }]
    healthCheck = {
      command  = ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9100/"]
      interval = 30
      timeout  = 3
      retries  = 3
    }
    stopTimeout      = 10
    logConfiguration = local.logs["node-exporter"]
  })

  prometheus = merge(local.container, local.sidecar, {
    name         = "prometheus"
    image        = var.prometheus_image
    user         = "65534"
    memory       = local.prometheus_memory_mib
    portMappings = [{ containerPort = 9090, hostPort = 9090, protocol = "tcp" }]
    entryPoint   = ["/bin/sh", "-c"]
    command      = [file("${local.prometheus_directory}/start.sh")]
    environment = [
      { name = "ALERTMANAGER", value = local.alertmanager_address },
      { name = "CONFIGURATION_SHA256", value = local.configuration_sha256 },
      { name = "GOMEMLIMIT", value = "320MiB" },
      { name = "RUNBOOK_URL", value = var.runbook_url },
    ]
    secrets = concat(
      [{ name = "PROMETHEUS_CONFIG", valueFrom = aws_ssm_parameter.prometheus_config.arn }],
      [
        for concern, parameter in aws_ssm_parameter.prometheus_rules :
        { name = "PROMETHEUS_RULES_${upper(concern)}", valueFrom = parameter.arn }
      ],
    )
    # The path at which the image declares VOLUME. At any other path the mount belongs to root.
    mountPoints = [{ sourceVolume = "prometheus", containerPath = "/prometheus", readOnly = false }]
    healthCheck = {
      command     = ["CMD", "promtool", "check", "healthy", "--url=http://127.0.0.1:9090"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    # Time to write its memory to disk and, with AMP, to send the remaining samples.
    stopTimeout      = 90
    logConfiguration = local.logs["prometheus"]
  })
}
