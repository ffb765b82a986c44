import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.nio.file.Files;
import java.nio.file.Path;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * A device of Eclipse Leshan: a temperature sensor (3303) with the objects 3 and 5.
 *
 * LeshanDevice URL ENDPOINT LIFETIME [queue] [fetches] [software] [bootstrap] [psk IDENTITY KEY-IN-HEX]
 * [x509 CERTIFICATE KEY SERVERS-CERTIFICATE] [models FOLDER]; files are DER. With software it has the objects 9 and 19 as well. It does what its standard input says, a command a line.
 */
public class LeshanDevice {
    static final int LARGEST = 4 << 20;

    static void say(String format, Object... arguments) {
        System.out.println(String.format(format, arguments));
        System.out.flush();
    }

    public static class Sensor extends BaseInstanceEnabler {
        double value = 21.5;

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 5700:
                return ReadResponse.success(resource, value);
            case 5701:
                return ReadResponse.success(resource, "Cel");
            default:
                return super.read(server, resource);
            }
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            say("executed 3303/0/%d %s", resource, arguments);
            return ExecuteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return Arrays.asList(5605, 5700, 5701);
        }
    }

    public static class Box extends BaseInstanceEnabler {
        String offset = "+01";

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 0:
                return ReadResponse.success(resource, "Lobaro");
            case 1:
                return ReadResponse.success(resource, "Box");
            case 7: {
                Map<Integer, Long> volts = new HashMap<>();
                volts.put(0, 3800L);
                volts.put(1, 5000L);
                return ReadResponse.success(resource, volts, ResourceModel.Type.INTEGER);
            }
            case 9:
                return ReadResponse.success(resource, 87);
            case 11: {
                Map<Integer, Long> errors = new HashMap<>();
                errors.put(0, 0L);
                return ReadResponse.success(resource, errors, ResourceModel.Type.INTEGER);
            }
            case 14:
                return ReadResponse.success(resource, offset);
            case 16:
                return ReadResponse.success(resource, "U");
            default:
                return super.read(server, resource);
            }
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != 14) {
                return WriteResponse.methodNotAllowed();
            }
            offset = (String) value.getValue();
            say("wrote 3/0/14 %s", offset);
            fireResourceChange(14);
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            say("executed 3/0/%d", resource);
            return ExecuteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return Arrays.asList(0, 1, 4, 7, 9, 11, 14, 16);
        }
    }

    static byte[] bytes(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    /** What it knows of the server, or with bootstrap of the bootstrap server, by the words that follow `psk` or `x509`. */
    static Security security(String url, List<String> more) throws Exception {
        boolean bootstrap = more.contains("bootstrap");
        int psk = more.indexOf("psk"), x509 = more.indexOf("x509");
        if (psk >= 0) {
            byte[] identity = more.get(psk + 1).getBytes(), key = HexFormat.of().parseHex(more.get(psk + 2));
            return bootstrap ? Security.pskBootstrap(url, identity, key) : Security.psk(url, 123, identity, key);
        }
        if (x509 >= 0) {
            byte[] mine = bytes(more.get(x509 + 1)), key = bytes(more.get(x509 + 2)), servers = bytes(more.get(x509 + 3));
            return bootstrap ? Security.x509Bootstrap(url, mine, key, servers) : Security.x509(url, 123, mine, key, servers);
        }
        return bootstrap ? Security.noSecBootstrap(url) : Security.noSec(url, 123);
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], endpoint = arguments[1];
        long lifetime = Long.parseLong(arguments[2]);
        List<String> more = Arrays.asList(arguments).subList(3, arguments.length);
        int models = more.indexOf("models");
        List<ObjectModel> known = ObjectLoader.loadAllDefault();
        if (models >= 0) {
            known.addAll(ObjectLoader.loadObjectsFromDir(new java.io.File(more.get(models + 1)), true));
        }
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(known));
        objects.setInstancesForObject(0, security(url, more));
        if (more.contains("bootstrap")) {
            objects.setClassForObject(1, Server.class);
        } else {
            objects.setInstancesForObject(1, new Server(123, lifetime));
        }
        Sensor sensor = new Sensor();
        objects.setInstancesForObject(3, new Box());
        int psk = more.indexOf("psk");
        Fetching fetching = psk < 0 ? new Fetching() : new Fetching(more.get(psk + 1), HexFormat.of().parseHex(more.get(psk + 2)));
        Firmware firmware = new Firmware(more.contains("fetches") ? 0 : 2, fetching);
        objects.setInstancesForObject(5, firmware);
        if (more.contains("software")) {
            objects.setInstancesForObject(9, new Software());
            objects.setInstancesForObject(19, new Container(firmware));
        }
        objects.setInstancesForObject(3303, sensor);
        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setQueueMode(more.contains("queue"));
        CaliforniumClientEndpointsProvider.Builder endpoints = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        org.eclipse.californium.elements.config.Configuration configuration = endpoints.createDefaultConfiguration();
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, null);
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, LARGEST);
        org.eclipse.californium.elements.config.Configuration.getStandard().set(CoapConfig.MAX_RESOURCE_BODY_SIZE, LARGEST);
        endpoints.setConfiguration(configuration);
        LeshanClientBuilder builder = new LeshanClientBuilder(endpoint);
        builder.setObjects(objects.createAll());
        builder.setEndpointsProviders(endpoints.build());
        builder.setDataSenders(new ManualDataSender());
        builder.setRegistrationEngineFactory(engine);
        LeshanClient client = builder.build();
        client.start();
        say("started");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = input.readLine()) != null) {
            String[] words = line.trim().split(" ");
            LwM2mServer server = client.getRegisteredServers().values().stream().findFirst().orElse(null);
            switch (words[0]) {
            case "temperature":
                sensor.value = Double.parseDouble(words[1]);
                sensor.fireResourceChange(5700);
                break;
            case "update":
                client.triggerRegistrationUpdate();
                break;
            case "send":
                say("send %s", client.getSendService().sendData(server, ContentFormat.fromCode(Integer.parseInt(words[1])),
                        Arrays.asList(words).subList(2, words.length), 5000));
                break;
            case "collect": {
                ManualDataSender sender = client.getSendService().getDataSender(ManualDataSender.DEFAULT_NAME,
                        ManualDataSender.class);
                sender.collectData(Arrays.asList(new LwM2mPath(3303, 0, 5700)));
                sensor.value += 1;
                Thread.sleep(50);
                sender.collectData(Arrays.asList(new LwM2mPath(3303, 0, 5700)));
                sender.sendCollectedData(server, ContentFormat.fromCode(Integer.parseInt(words[1])), 3000, false);
                break;
            }
            case "quit":
                client.destroy(true);
                System.exit(0);
                break;
            default:
                say("unknown command");
            }
        }
        client.destroy(false);
        System.exit(0);
    }
}
