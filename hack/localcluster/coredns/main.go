// Command coredns is the DNS server of the local cluster: CoreDNS with only the plugins that its configuration uses,
// which makes a program a third the size of the published one. It owns the list of plugins and their order, nothing else.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// The order of this list is the order in which a query passes the plugins, whatever the configuration says. Unlike
	// in the published program the template comes last, so that it answers only what no zone is responsible for.
	dnsserver.Directives = []string{
		"reload", "health", "ready", "errors", "cache", "loadbalance", "kubernetes", "template",
	}
	coremain.Run()
}
