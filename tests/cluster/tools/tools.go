//go:build tools

// Package tools names the programs that are built beside the node's own, so that go.mod keeps them.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
