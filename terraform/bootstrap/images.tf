# Where the two images lie. They outlive the stack, which could not be made without them.

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:the key that ECR owns encrypts them, and they are no secret
  for_each             = toset(["api", "grafana"])
  name                 = "${var.name}/${each.value}"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "As many as one may want to go back to."
      selection = {
        tagStatus   = "any"
        countType   = "imageCountMoreThan"
        countNumber = 30
      }
      action = { type = "expire" }
    }]
  })
}
