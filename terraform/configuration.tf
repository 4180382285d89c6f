# Prometheus' configuration: each file of monitoring/prometheus becomes one SSM parameter.

locals {
  prometheus_directory = "${path.module}/../monitoring/prometheus"
  scheme               = var.tls_version == 0 ? "http" : "https"
  prometheus_file      = replace(file("${local.prometheus_directory}/prometheus.yml"), "scheme: http\n", "scheme: ${local.scheme}\n")
  prometheus_yml       = yamldecode(local.prometheus_file)

  # With AMP, which evaluates the rules, series need labels that identify their ECS task: `localhost:8000` is
  # an instance of each. Prometheus replaces TASK_ID with the environment variable.
  prometheus_config = var.monitoring_backend == "sidecar" ? local.prometheus_file : yamlencode(merge({ for section, value in local.prometheus_yml : section => value if section != "alerting" }, {
    global     = merge(local.prometheus_yml.global, { external_labels = { task = "$${TASK_ID}" } })
    rule_files = []
    remote_write = [{
      url   = "${aws_prometheus_workspace.this[0].prometheus_endpoint}api/v1/remote_write"
      sigv4 = { region = var.region }

      write_relabel_configs = [{ source_labels = ["task"], target_label = "instance" }]
    }]
  }))

  # Keyed by file name: rules/store.yaml is "store".
  rules = {
    for path in local.prometheus_yml.rule_files :
    trimsuffix(basename(path), ".yaml") => file("${local.prometheus_directory}/${path}")
  }
  sidecar_rules = { for concern, text in local.rules : concern => text if var.monitoring_backend == "sidecar" }
  packed_rules  = { for concern, text in local.sidecar_rules : concern => base64gzip(text) }

  # A container reads parameters only when it starts. A changed hash starts a new ECS task.
  configuration_sha256 = sha256(join("\n", concat([local.prometheus_config], values(local.sidecar_rules))))

  parameter_bytes = 4096
}

resource "aws_ssm_parameter" "prometheus_config" {
  #checkov:skip=CKV2_AWS_34:it is in the repository and contains no secret
  name        = "/${var.name}/prometheus/config"
  description = "prometheus.yml."
  type        = "String"
  value       = local.prometheus_config

  lifecycle {
    precondition {
      condition     = length(local.prometheus_config) <= local.parameter_bytes
      error_message = "prometheus.yml has ${length(local.prometheus_config)} bytes; a parameter holds ${local.parameter_bytes}. Move settings into a rule file or remove some."
    }
  }
}

resource "aws_ssm_parameter" "prometheus_rules" {
  #checkov:skip=CKV2_AWS_34:they are in the repository and contain no secrets
  for_each    = local.packed_rules
  name        = "/${var.name}/prometheus/rules/${each.key}"
  description = "rules/${each.key}.yaml, gzipped."
  type        = "String"
  value       = each.value

  lifecycle {
    precondition {
      condition     = length(each.value) <= local.parameter_bytes
      error_message = "rules/${each.key}.yaml has ${length(each.value)} bytes when compressed; a parameter holds ${local.parameter_bytes}. Split the file."
    }
  }
}
