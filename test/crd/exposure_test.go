package crd

// exposureCases are about the ways by which devices come.
var exposureCases = []ruleCase{
	{"a load balancer alone", endpoint, "spec: {exposure: {hosts: null, ingress: null, service: {type: LoadBalancer}}}", ""},
	{
		"a load balancer with everything beside the Ingress", endpoint,
		"spec: {exposure: {service: {type: LoadBalancer, host: direct.example.com, loadBalancerClass: example.com/internal, " +
			"loadBalancerSourceRanges: [10.0.0.0/8], annotations: {example.com/x: z}, externalTrafficPolicy: Local, nodePorts: {http: 30080, https: 30443}}}}", "",
	},
	{"ports of the nodes", endpoint, "spec: {exposure: {service: {type: NodePort}}}", ""},
	{
		"a load balancer's class for ports of the nodes", endpoint, "spec: {exposure: {service: {type: NodePort, loadBalancerClass: x}}}",
		"loadBalancerClass and loadBalancerSourceRanges go with type LoadBalancer only",
	},
	{
		"a load balancer's sources for ports of the nodes", endpoint, "spec: {exposure: {service: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}}}",
		"loadBalancerClass and loadBalancerSourceRanges go with type LoadBalancer only",
	},
	{
		"a source that is no range", endpoint, "spec: {exposure: {service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1]}}}",
		"must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8",
	},
	{
		"an annotation of ours", endpoint, "spec: {exposure: {service: {type: LoadBalancer, annotations: {scepter.dev/applied: x}}}}",
		"annotations of scepter.dev are the operator's",
	},
}
