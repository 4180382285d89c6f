# The three containers of the task. They share its network namespace: localhost is the same for all.

locals {
  prometheus_memory_mib    = 384
  node_exporter_memory_mib = 64
  node_exporter_flags      = split("\n", trimspace(file("${path.module}/../monitoring/node-exporter/flags")))

  # What holds for each of them; a limit of its own, for without one a container sees the machine
  # around the task.
  container = {
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
  }
  # A crash of a sidecar is mended, and never stops the API.
  sidecar = {
    essential     = false
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
  }

  api = merge(local.container, {
    name         = "api"
    image        = var.api_image
    essential    = true
    user         = "10001"
    memory       = var.task_memory_mib - local.prometheus_memory_mib - local.node_exporter_memory_mib
    portMappings = [{ containerPort = 8000, hostPort = 8000, protocol = "tcp" }]
    environment = [
      { name = "AWS_REGION", value = var.region },
      { name = "LOG_FORMAT", value = "json" },
      # A changed secret is read at start only.
      { name = "SECRETS_VERSION", value = "${var.secrets_version}.${var.bootstrap_key_version}" },
      { name = "TABLE_NAME", value = module.tasks_table.name },
      { name = "TASK_MEMORY_MIB", value = tostring(var.task_memory_mib) },
      { name = "TASK_VCPUS", value = tostring(var.task_vcpus) },
      # The load balancer says who called; without it nobody is believed.
      { name = "TRUSTED_HOPS", value = tostring(local.load_balancers) },
    ]
    secrets = concat(
      [{ name = "CURSOR_SECRET", valueFrom = aws_ssm_parameter.cursor_secret.arn }],
      [
        for parameter in aws_ssm_parameter.bootstrap_key :
        { name = "BOOTSTRAP_KEY", valueFrom = parameter.arn }
      ],
    )
    healthCheck = {
      command     = ["CMD", "python", "-m", "api.healthcheck"]
      interval    = 15
      timeout     = 3
      retries     = 3
      startPeriod = 20
    }
    # Containers stop in the reverse of this: Prometheus sees the last request.
    dependsOn = [{ containerName = "prometheus", condition = "START" }]
    # Longer than the 20 s in which uvicorn lets requests end.
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
      { name = "CONFIGURATION_SHA256", value = local.configuration_sha256 },
      { name = "GOMEMLIMIT", value = "320MiB" },
    ]
    secrets = concat(
      [{ name = "PROMETHEUS_CONFIG", valueFrom = aws_ssm_parameter.prometheus_config.arn }],
      [
        for concern, parameter in aws_ssm_parameter.prometheus_rules :
        { name = "PROMETHEUS_RULES_${upper(concern)}", valueFrom = parameter.arn }
      ],
    )
    # Exactly where the image declares a volume: only there the mount belongs to the image's user.
    mountPoints = [{ sourceVolume = "prometheus", containerPath = "/prometheus", readOnly = false }]
    healthCheck = {
      command     = ["CMD", "promtool", "check", "healthy", "--url=http://127.0.0.1:9090"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    # It writes down what it has in memory, and with AMP sends the rest.
    stopTimeout      = 90
    logConfiguration = local.logs["prometheus"]
  })
}
