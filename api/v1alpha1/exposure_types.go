package v1alpha1

// ServiceExposureType says which type of Service leads to the servers.
// +kubebuilder:validation:Enum=LoadBalancer;NodePort
type ServiceExposureType string

// The types of Service.
const (
	// ServiceLoadBalancer asks the cluster for a load balancer.
	ServiceLoadBalancer ServiceExposureType = "LoadBalancer"
	// ServiceNodePort opens a port on every node.
	ServiceNodePort ServiceExposureType = "NodePort"
)

// TrafficPolicy says which nodes take a request.
// +kubebuilder:validation:Enum=Cluster;Local
type TrafficPolicy string

// The traffic policies.
const (
	// TrafficCluster has every node take requests; servers see the address of a node.
	TrafficCluster TrafficPolicy = "Cluster"
	// TrafficLocal has only nodes with a server take requests, and keeps the devices' addresses.
	TrafficLocal TrafficPolicy = "Local"
)

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// ServiceExposure leads devices to the servers without a proxy: by itself, or as a
// bypass beside an Ingress or a Gateway that cuts long URLs. The servers end TLS.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'LoadBalancer' || (!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges))",message="loadBalancerClass and loadBalancerSourceRanges go with type LoadBalancer only",fieldPath=".type"
type ServiceExposure struct {
	// LoadBalancer or NodePort.
	// +required
	Type ServiceExposureType `json:"type"`

	// DNS name under which devices find the Service, where that is none of hosts: a
	// bypass needs a name of its own. It is in the URLs and in the TLS certificate.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Host string `json:"host,omitempty"`

	// Class of the load balancer. Left out: the cluster's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// Addresses, in CIDR notation, that the load balancer lets in. Left out: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8"
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`

	// Annotations of the Service, for the load balancer's controller.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('scepter.dev/'))",message="annotations of scepter.dev are the operator's"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// Cluster, or Local, which keeps the devices' addresses and needs a server on the node.
	// +optional
	// +kubebuilder:default=Cluster
	ExternalTrafficPolicy TrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// Ports of the nodes. Left out: the cluster chooses, once.
	// +optional
	NodePorts *NodePorts `json:"nodePorts,omitempty"`
}

// NodePorts are ports of the nodes.
type NodePorts struct {
	// Port for plain HTTP.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTP int32 `json:"http,omitempty"`

	// Port for HTTPS.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTPS int32 `json:"https,omitempty"`
}

// LongURLs says how an implementation treats the long URLs of SCEP over GET.
// +kubebuilder:validation:Enum=Pass;NeedSetting;Limited;Unknown
type LongURLs string

// The verdicts on long URLs.
const (
	// LongURLsPass: 64 KiB pass as installed.
	LongURLsPass LongURLs = "Pass"
	// LongURLsNeedSetting: they pass after a setting of the implementation's administrator.
	LongURLsNeedSetting LongURLs = "NeedSetting"
	// LongURLsLimited: no setting helps.
	LongURLsLimited LongURLs = "Limited"
	// LongURLsUnknown: nobody has measured it.
	LongURLsUnknown LongURLs = "Unknown"
)

// ExposureKind is a kind of object by which devices come.
// +kubebuilder:validation:Enum=Ingress;Gateway;Service
type ExposureKind string

// The kinds of exposure.
const (
	ExposureIngress ExposureKind = "Ingress"
	ExposureGateway ExposureKind = "Gateway"
	ExposureService ExposureKind = "Service"
)

// ExposureStatus is one way by which devices come.
type ExposureStatus struct {
	// Kind of the object that devices come through.
	// +required
	Kind ExposureKind `json:"kind"`

	// Name of the object; of a Gateway in another namespace: namespace/name.
	// +required
	// +kubebuilder:validation:MaxLength=320
	Name string `json:"name"`

	// Controller that the object's class names.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Controller string `json:"controller,omitempty"`

	// Implementation that is recognised by the class. That proves nothing: others take
	// the names of well-known controllers.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Implementation string `json:"implementation,omitempty"`

	// Addresses that the object shows: IP addresses and names, with a port where it is
	// none of 80 and 443.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=260
	Addresses []string `json:"addresses,omitempty"`

	// What becomes of the long URLs of SCEP over GET, as far as the implementation is known.
	// +optional
	LongURLs LongURLs `json:"longURLs,omitempty"`

	// Longest request target that passes as installed, in bytes, as far as it is known.
	// +optional
	LimitBytes int64 `json:"limitBytes,omitempty"`

	// What an administrator may do, ready to copy.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Advice []ExposureAdvice `json:"advice,omitempty"`
}

// AdviceAbout says what advice is about.
// +kubebuilder:validation:Enum=LongURLs;Listener
type AdviceAbout string

// What advice is about.
const (
	// AdviceLongURLs is about the limit of the request target.
	AdviceLongURLs AdviceAbout = "LongURLs"
	// AdviceListener is about a listener that a Gateway lacks.
	AdviceListener AdviceAbout = "Listener"
)

// ExposureAdvice is something that an administrator may do.
type ExposureAdvice struct {
	// What it is about.
	// +required
	About AdviceAbout `json:"about"`

	// What to do.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Do string `json:"do"`

	// Command or manifest to copy. Names in capital letters are yours to fill in, and
	// others those of a default installation.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Copy string `json:"copy,omitempty"`
}
