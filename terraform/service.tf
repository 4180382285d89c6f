# The API's service: ECS tasks of three containers, each with a public address.

module "tasks_table" {
  source                 = "./tasks_table"
  name                   = "${var.name}-tasks${var.table_suffix}"
  deletion_protection    = var.deletion_protection
  point_in_time_recovery = true
  max_read_units         = var.table_max_read_units
  max_write_units        = var.table_max_write_units
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:Container Insights is billed per metric, and Prometheus collects the same
  name = var.name
}

resource "aws_ecs_task_definition" "task" {
  family                   = "${var.name}-task"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task_vcpus * 1024
  memory                   = var.task_memory_mib
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode([local.api, local.node_exporter, local.prometheus])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "ARM64"
  }

  # Lives as long as the ECS task and survives a restart of the container.
  volume {
    name = "prometheus"
  }
}

resource "aws_ecs_service" "task" {
  #checkov:skip=CKV_AWS_333:clients reach it at its public address; a NAT gateway costs more than the ECS task
  name                              = "${var.name}-task"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.task.arn
  desired_count                     = var.desired_count
  launch_type                       = "FARGATE"
  propagate_tags                    = "SERVICE"
  enable_execute_command            = var.execute_command
  wait_for_steady_state             = true
  health_check_grace_period_seconds = local.load_balancers == 0 ? null : 30

  network_configuration {
    subnets          = local.subnet_ids
    security_groups  = [aws_security_group.task.id]
    assign_public_ip = true
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  alarms {
    enable      = true
    rollback    = true
    alarm_names = [for alarm in aws_cloudwatch_metric_alarm.deployment : alarm.alarm_name]
  }

  service_registries {
    registry_arn = aws_service_discovery_service.task.arn
  }

  dynamic "load_balancer" {
    for_each = aws_lb_target_group.api
    content {
      target_group_arn = load_balancer.value.arn
      container_name   = "api"
      container_port   = 8000
    }
  }

  lifecycle {
    # Autoscaling changes the first. AWS sets the second.
    ignore_changes = [desired_count, availability_zone_rebalancing]

    # ECS reports a steady state even after it rolled a deployment back.
    postcondition {
      condition     = self.task_definition == aws_ecs_task_definition.task.arn
      error_message = "ECS rolled back the deployment, because the new ECS task did not become healthy, or failed or delayed requests. See the log group /${var.name}/api and the events of the service."
    }

    # 0 is a service that someone stopped.
    postcondition {
      condition     = self.desired_count == 0 || self.desired_count >= var.desired_count && self.desired_count <= max(var.desired_count, var.max_tasks)
      error_message = "The service runs ${self.desired_count} ECS tasks. Terraform sets their number only when it creates the service, because autoscaling changes it: aws ecs update-service --cluster ${var.name} --service ${var.name}-task --desired-count ${var.desired_count}"
    }
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task, aws_lb_listener.https]
}
